"""HTTP/1.1 on httptools, as far as the Open Inference Protocol needs it.

Bytes become requests in `connection`, requests become answers in `routes`, answers become bytes in
`messages`; `transport` listens and keeps the connections.
"""
