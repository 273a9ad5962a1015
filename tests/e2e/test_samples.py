"""The source documents' samples against a real server with the bundled model, and every scene on its sample picture.

One server for all of them; the pictures and their truth are those of `examples/`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI, UploadFile

from flashweb.scenes import SceneBook

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
RECEIPT = "4.20, 2.75, 6.90, 3.48, 5.25, 22.58, 30.00, 7.42"
AUDIT = (
    '请严格按以下JSON格式输出:{"contains_price": boolean, "contains_brand_logo": "品牌名或null", '
    '"forbidden_words": ["违禁词1", "违禁词2"]}. 只输出JSON,不要任何解释。'
)
AMOUNTS = "提取图中所有金额数字,并按出现顺序列出"


@pytest.fixture
def url(nano: str) -> str:
    return nano


def base64_of(name: str) -> str:
    return base64.b64encode((EXAMPLES / name).read_bytes()).decode()


def truth(picture: str, task: str, language: str = "zh") -> Any:
    for line in (EXAMPLES / "cases.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        if (case["picture"], case["task"], case["language"]) == (picture, task, language):
            return case["answer"]
    raise AssertionError(f"no case of {picture} and {task}")


def test_a_picture_as_base64_by_url_and_as_a_file_is_read_alike(url: str, pictures: str) -> None:
    asked = {"prompt": AMOUNTS, "max_tokens": 512, "temperature": 0}
    by_base64 = httpx.post(
        f"{url}/v1/multimodal/completions", json={**asked, "image": base64_of("receipt.png")}, timeout=60
    )
    by_url = httpx.post(
        f"{url}/v1/multimodal/completions",
        json={**asked, "image_url": f"http://{pictures}/receipt.png"},
        headers={"Authorization": "Bearer not-needed"},
        timeout=60,
    )
    answers = [by_base64, by_url]
    for path in ("completions-multipart", "completions-multipart-multipart"):
        with (EXAMPLES / "receipt.png").open("rb") as file:
            fields = {"prompt": AMOUNTS, "max_tokens": "512", "temperature": "0"}
            answers.append(httpx.post(f"{url}/v1/multimodal/{path}", files={"image": file}, data=fields, timeout=60))
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == RECEIPT


def test_a_retry_with_exponential_back_off_ends_with_the_answer(url: str) -> None:
    def call(image: str, max_retries: int = 3) -> httpx.Response:
        for attempt in range(max_retries):
            body = {"prompt": "这张图是什么?", "image": image, "max_tokens": 16}
            answer = httpx.post(f"{url}/v1/multimodal/completions", json=body, timeout=45)
            if answer.status_code not in (429, 500, 502, 503, 504):
                return answer
            time.sleep(2**attempt)
        raise AssertionError("no answer")

    assert call(PIXEL).json()["choices"][0]["finish_reason"] in ("stop", "length")
    assert call("not base64!").status_code == 400, "a mistake of ours is not tried again"


def test_the_configuration_manuals_request_answers_with_timings(url: str) -> None:
    body = {"image": base64_of("receipt.png"), "prompt": "What is the total?", "max_tokens": 64, "raw": True}
    found = httpx.post(f"{url}/v1/multi-modal/inference", json=body, timeout=60).json()
    assert found["text"] == "22.58" and found["finish_reason"] == "stop" and found["timings_ms"]["total"] > 0
    assert len(found["output_token_ids"]) == found["usage"]["completion_tokens"]


@pytest.mark.parametrize("path", ["/infer", "/v1/glm/infer"])
def test_the_rest_guides_curl_gets_its_envelope(url: str, path: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl on this machine")
    command = [curl, "-s", "-X", "POST", url + path, "-F", "image=@receipt.png", "-F", f"prompt={AMOUNTS}"]
    done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    assert (found["result"], found["code"]) == (RECEIPT, 0) and 0 < found["cost_time"] < 60


def test_the_pixel_of_the_samples_is_a_picture_everywhere(url: str) -> None:
    for path in ("/v1/multimodal/completions", "/v1/multi-modal/inference", "/infer", "/v1/glm/infer"):
        body = {"prompt": "What is in this image?", "image": PIXEL, "max_tokens": 8}
        assert httpx.post(url + path, json=body, timeout=60).status_code == 200
    assert httpx.post(f"{url}/api/scenes/ocr", json={"image": PIXEL}, timeout=60).status_code == 200


def test_the_audit_page_gets_its_three_fields_and_its_detail(url: str) -> None:
    with (EXAMPLES / "poster.png").open("rb") as file:
        answer = httpx.post(f"{url}/api/audit-image", files={"file": file}, timeout=60)
    assert answer.json() == json.loads(truth("poster.png", "audit"))
    refused = httpx.post(f"{url}/api/audit-image", files={"file": b"no picture"}, timeout=60)
    assert refused.status_code == 400 and refused.json()["detail"] == refused.json()["error"]["message"]


def test_an_audit_service_written_with_fastapi_passes_our_answer_on(url: str) -> None:
    app = FastAPI()

    @app.post("/audit")
    async def audit(file: UploadFile) -> Any:
        body = {"image": base64.b64encode(await file.read()).decode(), "prompt": AUDIT, "max_tokens": 256}
        async with httpx.AsyncClient(timeout=45) as client:
            answer = await client.post(f"{url}/v1/multimodal/completions", json={**body, "temperature": 0.1})
        answer.raise_for_status()
        return json.loads(answer.json()["choices"][0]["message"]["content"])

    async def upload() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.post("/audit", files={"file": (EXAMPLES / "poster.png").read_bytes()})

    assert asyncio.run(upload()).json() == json.loads(truth("poster.png", "audit"))


@pytest.mark.parametrize("model", ["glm-4.6v-flash", "glm-4v-flash-web", "glm-4.6v-flash-web"])
def test_the_chat_samples_curl_is_answered_under_every_name(url: str, model: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl on this machine")
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    text = {"type": "text", "text": "请描述这张图片的内容"}
    content: Any = part if model == "glm-4.6v-flash" else [text, part]  # one part alone, as the manual has it
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0.7}
    headers = ["-H", "Content-Type: application/json", "-H", "Authorization: Bearer not-needed"]
    command = [curl, "-s", f"{url}/v1/chat/completions", *headers, "-d", json.dumps(body)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert found["model"] == model and found["choices"][0]["finish_reason"] in ("stop", "length")


def test_the_openai_like_interfaces_sample_streams_with_the_sdk(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="not-needed")
    link = {"url": f"data:image/png;base64,{base64_of('poster.png')}"}
    parts: Any = [{"type": "text", "text": "这张图中的包是什么品牌?"}, {"type": "image_url", "image_url": link}]
    asked: Any = {"model": "glm-4v-flash-web", "messages": [{"role": "user", "content": parts}], "max_tokens": 64}
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].message.content == "NOVA"
    pieces = [chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**asked, stream=True)]
    assert "".join(pieces) == "NOVA"


def test_a_page_elsewhere_that_sends_a_blob_url_reads_what_to_send_instead(url: str) -> None:
    origin = {"Origin": "http://shop.example"}
    asking = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    assert httpx.options(f"{url}/v1/chat/completions", headers=asking).is_success
    content = [{"type": "image_url", "image_url": {"url": "blob:http://shop.example/5b2c"}}]
    body = {"model": "glm-4v-flash-web", "messages": [{"role": "user", "content": content}]}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=origin)
    assert answer.status_code == 400 and "send the bytes" in answer.json()["error"]["message"]
    assert answer.headers["access-control-allow-origin"] == "*"


def test_another_machine_reaches_the_server_by_this_ones_address(url: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which of our addresses would be used
        except OSError:
            pytest.skip("this machine has no address but its loopback one")
        address = probe.getsockname()[0]
    answer = httpx.get(url.replace("127.0.0.1", address) + "/v1/models")
    assert "glm-4v-flash-web" in [model["id"] for model in answer.json()["data"]]


def expected(scene: str) -> Any:
    """What the scene says of its sample picture: the case's own answer in the scene's shape."""
    match scene:
        case "audit":
            return json.loads(truth("poster.png", "audit"))
        case "service":
            return {"text": truth("device.png", "prompt")}
        case "receipt":
            return {"amounts": RECEIPT.split(", "), "total": "22.58"}
        case "marking":
            return without_work("worksheet.png", "marking")
        case "contract":
            return without_work("contract.png", "contract")
        case "inspection":
            return json.loads(truth("part.png", "inspection"))
        case "ocr":
            return {"text": truth("label.png", "read")}
    raise AssertionError(f"say what the scene {scene} answers")


def without_work(picture: str, task: str) -> Any:
    found = json.loads(truth(picture, task))
    del found["work"]
    return found


def boxes_of(found: Any) -> list[list[int]]:
    """Every box of a marking, taken out: a few per mille off are as right."""
    return [value.pop("box") for value in found.values() if isinstance(value, dict) and "box" in value]


@pytest.mark.parametrize("name", list(SceneBook().all()[0]))
def test_every_scene_answers_its_sample_picture_right(url: str, name: str) -> None:
    scene = SceneBook().find(name)
    assert scene.file.sample is not None
    fields = {"question": "这个设备支持无线充电吗?电池容量多少?"} if name == "service" else {}
    with (EXAMPLES / scene.file.sample).open("rb") as file:
        answer = httpx.post(f"{url}/api/scenes/{name}", files={"file": file}, data=fields, timeout=120)
    found, wanted = answer.json(), expected(name)
    assert answer.status_code == 200, found
    assert list(found) == list(wanted), "in the order that is promised"
    for box, right in zip(boxes_of(found), boxes_of(wanted), strict=True):
        assert all(abs(a - b) <= 12 for a, b in zip(box, right, strict=True))
    assert found == wanted
