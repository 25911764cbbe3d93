"""FAISS on NVIDIA GPUs.

cards     which GPUs FAISS sees, and their free memory
forms     which indexes have a GPU form, and their bytes there
copies    an index as it is opened: on the cards, by blocks, or on the processor
flat      exact search over vectors that the cards hold
blocks    exact search over more vectors than the cards hold
training  cells of IVF, placed by the cards
refined   codes on the cards, refined   on the processor
"""
