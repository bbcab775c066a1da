"""What travels on the wire: message numbers, requests (client to server) and answers (server to client).

Layouts hold for server versions 157 to 178; a field that came with a later version is named beside its version.
"""
