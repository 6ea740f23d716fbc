"""Tools that an agent may call, and the guard on requests that leave the server for it."""
