"""What is made of a conversation after its end."""
