"""The way in for viewers: the WebSocket, the status, and the control signals."""
