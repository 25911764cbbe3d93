"""Models behind servers that speak OpenAI's API.

server       the backend ``server``
asking       one model asked through its servers, and what they are able to do
served       what such a server tells of its model
completions  the requests and answers
http         bounded requests, retried, never sent elsewhere
endpoint     addresses of servers, and whether data may go there
counting     tokens of a model whose weights are elsewhere
"""
