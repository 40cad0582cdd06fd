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
        "mốc kiểm tra đã biết; cây của nó phải là phần đầu của cây này (dùng được nhiều lần)",
        "a checkpoint known from before; its tree must begin this one (may be repeated)",
    ),
    "help_skip": (
        "tin mốc kiểm tra: chỉ kiểm tra các mục đúng là của nó, không kiểm tra từng chữ ký",
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
    "check_1": ("dạng của mục", "form of the entry"),
    "check_2": ("chữ ký của nhật ký", "the log's signature"),
    "check_3": ("chữ ký của người ra lệnh", "the giver's signature"),
    "check_4": ("gắn kết giữa lệnh và bản ghi", "command and record belong together"),
    "check_5": ("chuỗi liền mạch", "chain without gap"),
    "check_6": ("mỗi lệnh chỉ ghi một lần", "each command once"),
    "check_7": ("lời văn khớp với cam kết", "words fit their commitments"),
    "check_8": ("đúng quy tắc", "by the rules"),
    "check_9": ("bảng hiển thị khớp với nhật ký", "screens say what the log says"),
    "check_10": ("các mục đúng là của cây", "entries are those of the tree"),
    "check_11": ("mốc kiểm tra", "checkpoints"),
    "check_12": ("điểm cuối các chuỗi", "ends of the chains"),
    "passed": ("{count} đạt", "{count} passed"),
    "nothing": ("chưa kiểm tra gì", "nothing was checked"),
    "tree": (
        "Mốc kiểm tra: {size} mục, gốc {root}",
        "Checkpoint: size {size}, root {root}",
    ),
    "signed": ("  {name} ký, {kind}{time}", "  signed by {name}, {kind}{time}"),
    "at": (" lúc {time} UTC", " at {time} UTC"),
    "chosen": (
        "Gói gồm các nhiệm vụ được chọn ({count} mục), không phải cả nhật ký.",
        "The bundle has the histories of chosen tasks, not the whole log. Entries: {count}.",
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
        "Entries: {entries}, chains: {chains}; {seconds} s, {rate} entries/s",
    ),
    "words": (
        "Lời văn: {opened} khớp; {erased} không có trong gói, vì để ngoài hoặc đã xóa.",
        "Words: {opened} there and fitting; {erased} not in the bundle, left out or erased.",
    ),
    "disputed": (
        "{count} mục bị tranh chấp: khóa ký chúng đã bị thu hồi vì lộ.",
        "Disputed entries: {count}. The key that signed them was revoked as compromised.",
    ),
    "disputed_entry": (
        "  mục {index}: {chain} số {seq}, khóa của {holder}",
        "  index {index}: {chain} entry {seq}, key of {holder}",
    ),
    "found": ("  {finding}", "  {finding}"),
    "fork": (
        "BẰNG CHỨNG: hai mốc kiểm tra do nhật ký ký không thể cùng đúng.",
        "EVIDENCE: two checkpoints that the log signed and that can't both be true.",
    ),
    "fork_known": ("--- đã biết từ trước", "--- known from before"),
    "fork_found": ("--- trong gói", "--- in the bundle"),
    "holds": ("Nhật ký nguyên vẹn.", "The log is sound."),
    "broken": ("Nhật ký KHÔNG nguyên vẹn: {finding}", "The log is NOT sound: {finding}"),
    "unread": ("KHÔNG kết luận được gì: {finding}", "NOTHING is known of the log: {finding}"),
    "more": ("  … và {count} phát hiện nữa (--json)", "  … and {count} more (--json)"),
    "finding": ("bước {check}: {code}: {where}{detail}", "check {check}: {code}: {where}{detail}"),
    "finding_entry": ("{chain} mục {seq}{place}", "{chain} entry {seq}{place}"),
    "finding_place": (" (vị trí {index})", " (index {index})"),
    "finding_log": ("cả nhật ký", "the log"),
    "progress": ("{done} / {of} mục, {percent} %", "{done} / {of} entries, {percent} %"),
    "skipped": (
        "Chữ ký của từng mục không được kiểm tra (--skip-signatures).",
        "The signatures of the entries were not checked (--skip-signatures).",
    ),
    "no_rules": (
        "Bước 8 (đúng quy tắc) cần cả dondoc: dondoc audit verify.",
        "The rules (check 8) need all of dondoc: dondoc audit verify.",
    ),
    "interrupted": ("Đã dừng.", "Stopped."),
    "unreadable": ("Không đọc được {path}: {reason}", "Can't read {path}: {reason}"),
    "known_malformed": ("Không phải mốc kiểm tra: {reason}", "This is no checkpoint: {reason}"),
    "trust_malformed": (
        "Tệp tin cậy {path} sai: {reason}",
        "The trust file {path} is wrong: {reason}",
    ),
}


class Speaker:
    """Says sentences of the table in one language."""

    def __init__(self, language: str) -> None:
        self._column = LANGUAGES.index(language)

    def __call__(self, code: str, /, **facts: object) -> str:
        return _SENTENCES[code][self._column].format(**facts)


def language_of(setting: str) -> str:
    """The language for a locale setting: English where it asks for it, else Vietnamese."""
    return "en" if setting.lower().startswith("en") else "vi"


def codes() -> frozenset[str]:
    return frozenset(_SENTENCES)
