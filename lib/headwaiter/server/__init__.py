"""How requests are served: processes, the event loop, clients' connections, the drain."""
