"""What workers of the tests' cluster find installed: parts that die once, and a stand-in of vLLM.

`install_mortal` writes them as pip would. A part dies, and its process with it, with the first row whose caption ends
in ``LAST_WORDS`` while the file ``mark`` is not there; it makes the file first.
"""

from __future__ import annotations

from pathlib import Path

from distributions import install

LAST_WORDS = "number 77"
PLUGIN = f"""
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from motacli import hookimpl
from motacli.llms.openai import OpenAIChat, OpenAIOptions
from motacli.triplets.rule_options import RuleOptions
from motacli.triplets.rules import RuleGenerator

def die_once(text, mark):
    if {LAST_WORDS!r} + '"' in text and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)

@dataclass(frozen=True)
class ClientOptions(OpenAIOptions):
    mark: str = ""

class Client(OpenAIChat):
    name = "mortal"
    Options = ClientOptions

    async def complete(self, request):
        answer = await super().complete(request)
        die_once(request.user, self.options.mark)
        return answer

@dataclass(frozen=True)
class Options(RuleOptions):
    mark: str = ""
    fail: str = ""

class Generator(RuleGenerator):
    name = "mortal"
    Options = Options

    def generate(self, rows):
        return super().generate(self.passed(rows))

    def passed(self, rows):
        for row in rows:
            die_once(row.caption + '"', self.options.mark)
            if self.options.fail and row.caption.endswith(self.options.fail):
                raise LookupError("lost the thread\\nand more")
            yield row

@hookimpl
def register_triplet_generators(register):
    register("mortal", Generator)

@hookimpl
def register_llm_clients(register):
    register("mortal", Client)
"""
VLLM = """
import json
import os
from pathlib import Path

if Path(__file__).with_name("missing").exists():
    raise ModuleNotFoundError("No module named 'vllm'", name="vllm")

import test_vllm
from llm_server import CAPTION, good_text
from test_vllm import SamplingParams

test_vllm.LLM.made = []

class LLM(test_vllm.LLM):
    def __init__(self, model, *, tensor_parallel_size=1, **more):
        super().__init__(model, **more)
        self.place = f"{tensor_parallel_size} of GPUs {os.environ.get('CUDA_VISIBLE_DEVICES')}"
        self.write = self.answer

    def answer(self, conversation):
        caption = json.loads(CAPTION.search(conversation[-1]["content"]).group(1))
        return good_text({"messages": conversation}, f"{caption} with {self.place}")
"""


def install_mortal(folder: Path) -> None:
    """Write the plugin ``mortal`` and the package ``vllm``."""
    install(folder, "mortal", PLUGIN)
    (folder / "vllm").mkdir()
    (folder / "vllm/__init__.py").write_text(VLLM)
    (folder / "vllm/sampling_params.py").write_text("from test_vllm import StructuredOutputsParams\n")
