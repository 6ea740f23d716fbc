"""The journal of conversations, and what is read from it: status, transcript, lists."""
