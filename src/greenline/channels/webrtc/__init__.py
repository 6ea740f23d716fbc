"""Voice over WebRTC: one audio stream both ways, as phones and Meta's relay speak it. Knows no channel."""
