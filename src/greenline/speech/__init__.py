"""Hearing and speaking: recognition, synthesis, voice activity, codecs."""
