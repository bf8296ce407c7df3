"""The conformance kit: what Claude Code needs of a server, asked of any server that speaks /v1/messages."""
