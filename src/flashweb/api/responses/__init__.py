"""OpenAI's Responses API: an adapter onto the chat's own path, and what of it outlives a request.

A request (`wire`) becomes a turn (`turns`), whose items become a chat's messages (`chats`) and go the chat's own way;
the pieces of the answer become items and events (`answer`). When nobody waits for it, `runs` does.
"""
