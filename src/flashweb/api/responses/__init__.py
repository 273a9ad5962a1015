"""OpenAI's Responses API: an adapter onto the chat's own path, and what of it outlives a request.

    request -> wire -> turns (chats: items to messages) -> the chat's job -> answer: pieces to items and events
                                                                         runs: the same, when nobody waits
"""
