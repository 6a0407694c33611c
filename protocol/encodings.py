"""Text of a file whose encoding nobody wrote down: by its byte order mark, as UTF-8, or as Chinese in GBK.

GB 18030 gives a meaning to nearly any bytes: `Grünling` in Latin 1 becomes `Gr黱ling`. So it is believed only where the
characters are those that Chinese is written with: most of them of the 3,755 of level 1 of GB 2312-80, nearly all of GB
2312, no kana, not of the narrow range of bytes that a Cyrillic, Greek, Hebrew or Arabic alphabet takes, and not Hangul.
Whatever else is no UTF-8 must be named.
"""

from __future__ import annotations

from protocol.language import tr

MOST_BYTES = 2**31  # of a table; ten million rows are a tenth of it
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_FREQUENT_HANGUL = set(
    "이다는을의에가고하지한사로도기아어리나자대시으인해서그라를은들일부있제수정전보주만니장게구상스원면과오거없었여조요우선비공성"
    "적소동안마세계무바미신유발방물연영양분모중학내경심문실산말치속통버섯꽃개양새강호랑코끼닭돼송느타표팽광붉"
)
_FREQUENT_CHINESE = set(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家"
    "种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日军者意无力它与长把机十民第"
    "公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合"
    "回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总"
    "何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听"
    "白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带"
    "导争运笔猫狗鸟花草树木叶鱼虫虎狮象蘑菇菌牛羊猪鸡鸭车船飞猴兔熊红黄蓝绿黑灰橙紫苹果香蕉葡萄西瓜玫瑰病好坏正常异"
)


def decoded(encoded: bytes, encoding: str = "") -> tuple[str, str]:
    """The text and the name of its encoding: the one given, else by byte order mark, as UTF-8, or as Chinese.

    Raises:
        ValueError: why it is no such text, as a clause; with `encoding` also when Python knows none of that name.
    """
    if encoding:
        return _as_named(encoded, encoding), encoding
    mark = next((name for mark, name in _MARKS if encoded.startswith(mark)), "")
    for name in (mark,) if mark else ("utf-8", "gb18030"):
        try:
            text = encoded.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and (name != "gb18030" or reads_as_chinese(encoded, text)):
            return text.lstrip("\ufeff"), name  # a file that was marked twice
    if b"\0" in encoded and mark in ("", "utf-8-sig"):  # zero bytes are usual in UTF-16
        line = encoded.count(b"\n", 0, encoded.index(b"\0")) + 1
        raise ValueError(
            tr("holds zero bytes (line {line}), as UTF-16 without its mark (--encoding utf-16-le) or damage", line=line)
        )
    raise ValueError(tr("is no text in UTF-8, UTF-16 or GBK that reads as Chinese"))


def reads_as_chinese(encoded: bytes, text: str) -> bool:
    """Whether text that was decoded from GB 18030 is Chinese, by its different characters; False without any."""
    characters = {character for character in text if character > "\x7f"}
    pairs = [pair for character in characters if len(pair := _gb2312(character)) == 2]
    ideographs = [pair for pair in pairs if pair[0] >= 0xB0]
    frequent = [pair for pair in ideographs if pair[0] <= 0xD7]
    if not frequent or len(pairs) < 0.8 * len(characters) or len(frequent) < 0.5 * len(characters):
        return False
    if any(0xA4 <= pair[0] <= 0xA5 for pair in pairs):  # hiragana and katakana
        return False
    if len(ideographs) > 3 and min(min(pair) for pair in ideographs) >= 0xC0:  # the letters of one alphabet
        return False
    return not _rather_korean(encoded, characters)


def _gb2312(character: str) -> bytes:
    try:
        return character.encode("gb2312")
    except UnicodeEncodeError:
        return b""


def _rather_korean(encoded: bytes, characters: set[str]) -> bool:
    """EUC-KR keeps Hangul where GB 2312 keeps the first half of level 1: then the more frequent characters decide."""
    try:
        korean = {character for character in encoded.decode("euc_kr") if character > "\x7f"}
    except UnicodeDecodeError:
        return False
    if any(not "가" <= character <= "힣" for character in korean):
        return False
    return len(korean & _FREQUENT_HANGUL) > len(characters & _FREQUENT_CHINESE)


def _as_named(encoded: bytes, encoding: str) -> str:
    try:
        text = encoded.decode(encoding)
    except (LookupError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            line = encoded.count(b"\n", 0, error.start) + 1
            raise ValueError(
                tr("is no text in {encoding!r}: line {line} holds a byte that it has not", encoding=encoding, line=line)
            ) from None
        raise ValueError(
            tr("cannot be read as {encoding!r}: Python knows no such encoding of text", encoding=encoding)
        ) from None
    if "\0" in text:
        raise ValueError(tr("is no text in {encoding!r}: it holds zero bytes", encoding=encoding))
    return text.removeprefix("\ufeff")
