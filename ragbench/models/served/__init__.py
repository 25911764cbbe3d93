"""Models behind servers with OpenAI's API.

server       the backend ``server``
asking       requests to a model's servers, and checks of their abilities
letters      letters from one request, in the best way that the servers have
firsttoken   its requests and answers
options      options from echoed texts
plain        whether plain prompts are continued as they are
served       facts that a server reports about its model
day          whether its chat template writes the day, and which
completions  requests and answers
parameters   keys of the config, and parameters that a server refuses by name
keys         headers whose secrets are in the environment
http         requests that are retried and never sent elsewhere
patience     what is done about servers that are away, busy or spent
wire         one exchange, bounded in seconds and bytes
addresses    which server is asked next, and a file of addresses that may change
counting     tokens of a model whose weights are elsewhere
"""
