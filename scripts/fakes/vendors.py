"""Vendors by name."""

from __future__ import annotations

from scripts.fakes import hosted, local
from scripts.fakes.manners import Vendor

VENDORS: dict[str, type[Vendor]] = {
    "vllm": local.Vllm,
    "sglang": local.Sglang,
    "llama.cpp": local.LlamaCpp,
    "ollama": local.Ollama,
    "lmstudio": local.LmStudio,
    "transformers": local.TransformersServe,
    "openai": hosted.OpenAi,
    "openai-o": hosted.OpenAiReasoning,
    "azure": hosted.Azure,
    "gemini": hosted.Gemini,
    "anthropic": hosted.Anthropic,
    "litellm": hosted.LiteLlm,
    "litellm-drop": hosted.LiteLlmDropping,
}
