"""How a photo was made, from files with real metadata: signed by the C2PA library, or written by Pillow."""

from __future__ import annotations

import datetime
import io
import json
import os
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ranking.errors import ConfigError
from ranking.item_message import AiGenerated
from scorer.ingest.photos import PhotoLoader, PhotoSource
from scorer.provenance import ai_generated, load_classifier, more_suspicious
from scorer.provenance.containers import MAX_BYTES, metadata_blocks
from scorer.provenance.jumbf import assertions

TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PHOTOS = Path(os.environ.get("RANK_SHARED", "../shared")) / "photos"
FORMATS = ["JPEG", "PNG", "WEBP"]


def picture(format="JPEG", size=24, **more):
    file = io.BytesIO()
    Image.effect_noise((size, size), 60).convert("RGB").save(file, format, **more)
    return file.getvalue()


def texts(**pairs):
    info = PngImagePlugin.PngInfo()
    for key, value in pairs.items():
        info.add_text(key, value)
    return picture("PNG", pnginfo=info)


def exif(**tags):
    found = Image.Exif()
    for name, value in tags.items():
        found[{"software": 0x0131, "make": 0x010F, "description": 0x010E}[name]] = value
    return found


def with_xmp(xmp, format):
    if format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        return picture("PNG", pnginfo=info)
    return picture(format, xmp=xmp.encode())


@pytest.fixture(scope="module")
def signer():
    """A signer of the C2PA library, with a certificate made here."""
    c2pa = pytest.importorskip("c2pa")
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def named(name):
        return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)])

    def certificate(name, key, issuer, issuer_key, ca):
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"), False,
        )  # fmt: skip
        builder = (
            x509.CertificateBuilder(named(issuer), named(name), key.public_key(), x509.random_serial_number(),
                                    now - day, now + day)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )  # fmt: skip
        if not ca:
            for_mail = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(for_mail, critical=False)
        made = builder.sign(issuer_key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = certificate("signer", key, "root", root_key, False)
    chain += certificate("root", root_key, "root", root_key, True)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = c2pa.C2paSignerInfo(alg=b"es256", sign_cert=chain, private_key=pem, ta_url=None)
    return c2pa.Signer.from_info(info)


def signed(signer, actions, format="JPEG", *, size=300, source=None):
    """A picture with a manifest; of a `source` that has one, a picture that goes on from it."""
    import c2pa

    manifest = {"claim_generator_info": [{"name": "test", "version": "1"}],
                "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}]}  # fmt: skip
    builder = c2pa.Builder(json.dumps(manifest))
    if source is not None:
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    out = io.BytesIO()
    builder.sign(signer, f"image/{format.lower()}", io.BytesIO(source or picture(format, size)), out)
    return out.getvalue()


def created(kind):
    return {"action": "c2pa.created", "digitalSourceType": TYPES + kind}


@pytest.mark.parametrize("format", FORMATS)
def test_a_signed_manifest_of_the_c2pa_library_is_read(signer, format):
    data = signed(signer, [created("trainedAlgorithmicMedia")], format)
    (block,) = [block for block in metadata_blocks(data) if block.kind == "jumbf"]
    assert len(block.data) > 70_000  # a thumbnail is in it: in a JPEG, several segments are joined
    assert "c2pa.actions.v2" in {one.label for one in assertions(block.data)}
    assert ai_generated(data) == AiGenerated(probability=0.99, source="c2pa:trainedAlgorithmicMedia")


def test_a_signed_capture_is_no_suspicion_and_an_edit_with_a_model_is_one(signer):
    captured = signed(signer, [created("digitalCapture")])
    assert ai_generated(captured) == AiGenerated(probability=0.02, source="c2pa:digitalCapture")
    edit = {"action": "c2pa.edited", "digitalSourceType": TYPES + "compositeWithTrainedAlgorithmicMedia",
            "softwareAgent": {"name": "Adobe Firefly"}}  # fmt: skip
    found = ai_generated(signed(signer, [created("digitalCapture"), edit]))
    assert found.probability > 0.5
    named = {"action": "c2pa.created", "digitalSourceType": TYPES + "digitalCreation",
             "softwareAgent": {"name": "Adobe Firefly"}}  # fmt: skip
    assert ai_generated(signed(signer, [named])).source == "c2pa:firefly"


def test_a_generated_picture_that_was_edited_stays_generated(signer):
    generated = signed(signer, [created("trainedAlgorithmicMedia")], size=40)
    cropped = signed(signer, [{"action": "c2pa.cropped"}], source=generated)
    assert ai_generated(cropped).source == "c2pa:trainedAlgorithmicMedia"


XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {}>{}</rdf:Description></x:xmpmeta>'
FORMS = {
    "attribute": XMP.format(f'Iptc4xmpExt:DigitalSourceType="{TYPES}trainedAlgorithmicMedia"', ""),
    "single quotes": XMP.format(f"Iptc4xmpExt:DigitalSourceType = '{TYPES}trainedAlgorithmicMedia'", ""),
    "element": XMP.format(
        "", f"<Iptc4xmpExt:DigitalSourceType>{TYPES}trainedAlgorithmicMedia</Iptc4xmpExt:X>"
    ),
    "resource": XMP.format(
        "", f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{TYPES}trainedAlgorithmicMedia"/>'
    ),
    "https, other case": XMP.format(f'a:DigitalSourceType="https{TYPES[4:]}TrainedAlgorithmicMedia"', ""),
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("form", FORMS)
def test_iptc_in_xmp_is_read_in_every_form_that_writers_use(form, format):
    found = ai_generated(with_xmp(FORMS[form], format))
    assert found == AiGenerated(probability=0.99, source="iptc:trainedAlgorithmicMedia")


def test_an_xmp_that_says_captured_is_said_and_an_unknown_term_is_nothing():
    assert ai_generated(
        with_xmp(FORMS["attribute"].replace("trainedAlgorithmicMedia", "digitalCapture"), "JPEG")
    ) == (AiGenerated(probability=0.02, source="iptc:digitalCapture"))
    assert (
        ai_generated(with_xmp(FORMS["attribute"].replace("trainedAlgorithmicMedia", "newTerm"), "JPEG"))
        is None
    )


A1111 = "a red dress on a hanger\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
MARKED = {
    "A1111 in PNG": (lambda: texts(parameters=A1111), "metadata:stable-diffusion", 0.97),
    "ComfyUI": (lambda: texts(prompt='{"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}'),
                "metadata:comfyui", 0.97),
    "InvokeAI": (lambda: texts(invokeai_metadata='{"seed": 7}'), "metadata:invokeai", 0.97),
    "NovelAI": (lambda: texts(Software="NovelAI"), "metadata:novelai", 0.9),
    "Midjourney": (lambda: texts(Description="dress --v 6 Job ID: 0a1b2c3d-1234-4abc-8def-0123456789ab"),
                   "metadata:midjourney", 0.9),
    "DALL-E": (lambda: picture(exif=exif(software="OpenAI DALL·E 3")), "metadata:dall-e", 0.9),
    "Firefly": (lambda: picture(exif=exif(software="Adobe Firefly")), "metadata:firefly", 0.9),
    "Google": (lambda: with_xmp(XMP.format('photoshop:Credit="Made with Google AI"', ""), "JPEG"),
               "metadata:google-ai", 0.9),
    "WebP": (lambda: picture("WEBP", exif=exif(description="Stable Diffusion XL")),
             "metadata:stable-diffusion", 0.9),
}  # fmt: skip


@pytest.mark.parametrize("name", MARKED)
def test_marks_of_generators_are_known(name):
    make, source, probability = MARKED[name]
    assert ai_generated(make()) == AiGenerated(probability=probability, source=source)


def test_settings_in_a_jpegs_user_comment_are_known():
    found = Image.Exif()
    found.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be")
    assert ai_generated(picture(exif=found)).source == "metadata:stable-diffusion"


@pytest.mark.parametrize(
    "make",
    [
        picture,
        lambda: picture("PNG"),
        lambda: picture("GIF"),
        lambda: picture(exif=exif(software="Adobe Photoshop 25.0", make="Apple")),
        lambda: texts(parameters="price 20, size M", prompt="a note of the seller", Software="GIMP"),
        lambda: texts(Description="dress with openwork, midi, journey print, firefly brooch"),
        lambda: b"",
        lambda: b"not a photo",
        lambda: b"\xff\xd8",
        lambda: b"\x89PNG\r\n\x1a\n",
        lambda: b"RIFF\0\0\0\0WEBP",
    ],
)
def test_what_says_nothing_is_nothing(make):
    assert ai_generated(make()) is None


def test_sellers_real_photos_are_not_suspected():
    if not PHOTOS.is_dir():
        if os.environ.get("CI"):
            pytest.fail("no photos")
        pytest.skip(f"no {PHOTOS}; set RANK_SHARED")
    some = sorted(PHOTOS.rglob("*.jpg"))[::30]
    assert len(some) > 50
    found = [ai_generated(path.read_bytes()) for path in some]
    assert [one for one in found if one is not None and one.probability > 0.5] == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_cut_or_changed_file_raises_nothing(signer, format):
    data = signed(signer, [created("trainedAlgorithmicMedia")], format, size=16)
    for at in range(0, len(data), max(1, len(data) // 150)):
        ai_generated(data[:at])
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        for place in rng.integers(0, min(len(data), 20_000), 8):
            changed[place] = rng.integers(256)
        ai_generated(bytes(changed))


def box(kind, body):
    return struct.pack(">I", len(body) + 8) + kind + body


def described(label, content):
    return box(b"jumb", box(b"jumd", b"\0" * 16 + b"\x03" + label.encode() + b"\0") + content)


def png_of(*chunks):
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def nested(depth):
    content = b""
    for _ in range(depth):
        content = box(b"jumb", content)
    return content


HOSTILE = {
    "deep boxes": lambda: png_of((b"caBX", nested(5_000))),
    "empty boxes": lambda: png_of((b"caBX", box(b"free", b"") * 400_000)),
    "zero lengths": lambda: png_of((b"caBX", b"\0" * 3_000_000)),
    "a length beyond the file": lambda: png_of((b"caBX", struct.pack(">I4sQ", 1, b"jumb", 2**63))),
    "deep CBOR": lambda: png_of((b"caBX", described("c2pa.actions", box(b"cbor", b"\x81" * 400_000)))),
    "endless CBOR": lambda: png_of((b"caBX", described("c2pa.actions", box(b"cbor", b"\x9b" + b"\x7f" * 8)))),
    "a huge CBOR text": lambda: png_of((b"caBX", described("c2pa.actions", box(b"cbor", b"\x7b" + b"\x0f" * 8)))),  # noqa: E501
    "deep JSON": lambda: png_of((b"caBX", described("stds.iptc", box(b"json", b"[" * 400_000)))),
    "a zipped bomb": lambda: png_of((b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * 60_000_000, 9))),
    "many texts": lambda: png_of(*[(b"tEXt", b"Description\0" + b"Steps: 1, " * 900)] * 2_000),
    "one long text": lambda: png_of((b"tEXt", b"parameters\0" + b"Steps: 1, " * 1_900_000)),
    "a long XMP": lambda: png_of((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"DigitalSourceType=" * 400_000)),
    "many pieces": lambda: b"\xff\xd8" + b"".join(
        b"\xff\xeb\0\x12JP" + struct.pack(">HI", i % 3, i) + b"\0" * 8 for i in range(90_000)
    ),
    "fill bytes": lambda: b"\xff\xd8" + b"\xff" * 4_000_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_little_time_and_memory(name):
    data = HOSTILE[name]()
    tracemalloc.start()
    began = time.process_time()
    found = ai_generated(data)
    seconds = time.process_time() - began
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is None or found.source == "metadata:stable-diffusion"
    assert most < 8 * MAX_BYTES
    assert seconds < 5  # with the tracing, which costs most of it


class Suspicious:
    name = "test"

    def __init__(self, probability=0.7):
        self.asked, self.says = 0, probability

    def probability(self, data, pixels):
        self.asked += 1
        return self.says


def test_a_classifier_is_asked_where_the_file_does_not_accuse_itself():
    pixels, classifier = np.zeros((4, 4, 3), dtype=np.uint8), Suspicious()
    assert ai_generated(picture(), pixels, classifier) == AiGenerated(
        probability=0.7, source="classifier:test"
    )
    assert ai_generated(texts(parameters=A1111), pixels, classifier).source == "metadata:stable-diffusion"
    assert classifier.asked == 1
    captured = with_xmp(FORMS["attribute"].replace("trainedAlgorithmicMedia", "digitalCapture"), "JPEG")
    assert ai_generated(captured, pixels, classifier).source == "classifier:test"
    for nonsense in (None, float("nan"), 1.5, -0.1):
        assert ai_generated(picture(), pixels, Suspicious(nonsense)) is None


def test_a_classifier_is_named_by_module_and_attribute(tmp_path, monkeypatch):
    (tmp_path / "my_classifier.py").write_text(
        "class Mine:\n    name = 'mine'\n    def probability(self, data, pixels): return 0.5\nmine = Mine()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for right in ("my_classifier:mine", "my_classifier:Mine"):
        assert load_classifier(right).name == "mine"
        assert load_classifier(right).probability(b"", np.zeros((1, 1, 3), dtype=np.uint8)) == 0.5
    for wrong in ("nowhere.at.all:x", "json:nothing", "json:dumps", "noattribute", "math:pi", ":x"):
        with pytest.raises(ConfigError):
            load_classifier(wrong)


def test_the_more_probable_of_two_counts():
    low, high = AiGenerated(probability=0.1, source="seller"), AiGenerated(probability=0.9, source="file")
    assert more_suspicious(low, high) is high
    assert more_suspicious(high, low) is high
    assert more_suspicious(None, low) is low
    assert more_suspicious(None, None) is None


def test_a_loaded_photo_carries_what_its_file_says(tmp_path):
    (tmp_path / "a.png").write_bytes(texts(parameters=A1111))
    (tmp_path / "b.jpg").write_bytes(picture())
    loader = PhotoLoader.for_size(PhotoSource(root=tmp_path), 16, classifier=Suspicious(0.6))
    try:
        assert loader.submit("a.png").result().ai.source == "metadata:stable-diffusion"
        assert loader.submit("b.jpg").result().ai == AiGenerated(probability=0.6, source="classifier:test")
        assert loader.submit("b.jpg").result().pixels.shape == (16, 16, 3)
    finally:
        loader.close()
