"""LangChain's retrievers and vector stores as indexes, and indexes as LangChain's retrievers.

adapters        each as the other
langchain_kind  the kind ``langchain``
vectorstore     the kind ``vectorstore``
stores          how each store is made and opened
store_recipe    its recipe
store_checks    whether a store holds and finds what was put in
raw_scores      what a store's scores are
"""
