"""What the verifier says, in Vietnamese and in English: it has to speak without the rest of us."""

from collections.abc import Mapping

LANGUAGES = ("vi", "en")

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "about": (
        "Kiểm tra một gói nhật ký dondoc mà không cần mạng. Niềm tin chỉ đến từ tệp --trust.",
        "Verifies a bundle of a dondoc log, offline. Trust comes from the --trust file only.",
    ),
    "help_bundle": ("gói (tệp zip hoặc thư mục)", "the bundle: a zip file or a folder"),
    "help_trust": (
        "tệp tin cậy, lấy từ nguồn khác với gói",
        "the trust file, got from elsewhere than the bundle",
    ),
    "help_known": (
        "điểm kiểm đã biết từ trước; cây của nó phải là phần đầu của cây này (có thể lặp lại)",
        "a checkpoint known from before; its tree must begin this one (may be repeated)",
    ),
    "help_skip": (
        "tin điểm kiểm: chỉ kiểm tra các mục đúng là của nó, không kiểm tra từng chữ ký",
        "trust the checkpoint: only check that the entries are its, not each signature",
    ),
    "help_roots": (
        "chứng thư gốc (PEM) của tổ chức cấp dấu thời gian; khi đó gói phải có dấu thời gian",
        "root certificates (PEM) of a time-stamping authority; then the bundle must be stamped",
    ),
    "stamped": (
        "  {size} mục đã có trước {time} UTC, theo {authority}",
        "  {size} entries were there before {time} UTC, says {authority}",
    ),
    "help_processes": ("số tiến trình (mặc định: mọi lõi)", "processes (by default every core)"),
    "help_lang": ("ngôn ngữ", "language"),
    "help_json": ("kết quả dạng JSON", "the result as JSON"),
    "check_1": ("hình thức", "form"),
    "check_2": ("chữ ký của nhật ký", "record signature"),
    "check_3": ("chữ ký của người ra lệnh", "command signature"),
    "check_4": ("ràng buộc", "binding"),
    "check_5": ("chuỗi", "chain"),
    "check_6": ("mỗi lệnh một lần", "once"),
    "check_7": ("lời văn", "openings"),
    "check_8": ("quy tắc", "rules"),
    "check_9": ("bảng hiển thị", "read model"),
    "check_10": ("cây", "tree"),
    "check_11": ("điểm kiểm", "checkpoint"),
    "check_12": ("đầu chuỗi", "heads"),
    "passed": ("{count} đạt", "{count} passed"),
    "tree": (
        "Điểm kiểm: {size} mục, gốc {root}",
        "Checkpoint: {size} entries, root {root}",
    ),
    "signed": ("  ký bởi {name}, {kind}{time}", "  signed by {name}, {kind}{time}"),
    "at": (" lúc {time} UTC", " at {time} UTC"),
    "chosen": (
        "Gói gồm {count} mục của các nhiệm vụ được chọn, không phải cả nhật ký.",
        "The bundle has {count} entries of chosen tasks, not the whole log.",
    ),
    "whole": (
        "  Đầy đủ trong phạm vi {size} trên {of} mục của nhật ký, theo tuyên bố lúc {time} UTC.",
        "  They are whole within {size} of the log's {of} entries, as it stated at {time} UTC.",
    ),
    "later": (
        "  {count} mục của chúng đến sau. Có mục nào khác, có khóa nào bị thu hồi từ đó: không rõ.",
        "  {count} of their entries came later. What else did, and whose key was revoked: unknown.",
    ),
    "figures": (
        "{entries} mục, {chains} chuỗi; {seconds} giây, {rate} mục/giây",
        "{entries} entries, {chains} chains; {seconds} s, {rate} entries/s",
    ),
    "words": (
        "Lời văn: {opened} khớp; {erased} không có trong gói, vì để ngoài hoặc đã xóa.",
        "Words: {opened} fit; {erased} are not in the bundle, left out or erased.",
    ),
    "disputed": (
        "{count} mục bị tranh chấp: khóa ký chúng đã bị thu hồi vì lộ.",
        "{count} entries are disputed: the key that signed them was revoked as compromised.",
    ),
    "disputed_entry": (
        "  mục {index}: {chain} số {seq}, khóa của {holder}",
        "  index {index}: {chain} entry {seq}, key of {holder}",
    ),
    "found": ("  {finding}", "  {finding}"),
    "fork": (
        "BẰNG CHỨNG: hai điểm kiểm do nhật ký ký không thể cùng đúng.",
        "EVIDENCE: two checkpoints that the log signed and that can't both be true.",
    ),
    "fork_known": ("--- đã biết từ trước", "--- known from before"),
    "fork_found": ("--- trong gói", "--- in the bundle"),
    "holds": ("Nhật ký đứng vững.", "The log holds."),
    "unread": (
        "Chưa kiểm tra được gì, nên chưa nói gì về nhật ký: {finding}\nHãy lấy lại gói.",
        "Nothing could be checked; of the log that says nothing: {finding}\nGet the bundle again.",
    ),
    "broken": ("Nhật ký KHÔNG đứng vững: {finding}", "The log does NOT hold: {finding}"),
    "progress": ("{done} / {of} mục, {percent} %", "{done} / {of} entries, {percent} %"),
    "skipped": (
        "Chữ ký của từng mục không được kiểm tra (--skip-signatures).",
        "The signatures of the entries were not checked (--skip-signatures).",
    ),
    "no_rules": (
        "Quy tắc (bước 8) cần cả dondoc: dondoc audit verify.",
        "The rules (check 8) need all of dondoc: dondoc audit verify.",
    ),
    "interrupted": ("Đã dừng.", "Stopped."),
    "unreadable": ("Không đọc được {path}: {reason}", "Can't read {path}: {reason}"),
    "trust_malformed": (
        "Tệp tin cậy {path} sai: {reason}",
        "The trust file {path} is wrong: {reason}",
    ),
}


class Speaker:
    """Says sentences of the table in one language."""

    def __init__(self, language: str) -> None:
        self._column = LANGUAGES.index(language)

    def __call__(self, code: str, **facts: object) -> str:
        return _SENTENCES[code][self._column].format(**facts)


def language_of(setting: str) -> str:
    """The language for a locale setting: English where it asks for it, else Vietnamese."""
    return "en" if setting.lower().startswith("en") else "vi"


def codes() -> frozenset[str]:
    return frozenset(_SENTENCES)
