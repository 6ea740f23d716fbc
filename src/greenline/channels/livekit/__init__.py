"""Conversations in rooms of a LiveKit server: sound on tracks, the socket's messages as data packets."""
