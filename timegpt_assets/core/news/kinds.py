"""Kinds of words in headlines: names, topics, opposites, modes, figures, and words that make no difference.

Belongs here: word lists, written by hand, in English and lower case. They are asked of what core/news/wording has put
in each word's place, but for those of figures and desks.
"""

from collections.abc import Mapping
from functools import cache


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NATIONS = _words(
    "argentina australia austria belgium brazil canada chile china denmark dutch egypt eu finland france germany "
    "greece hongkong india indonesia iran iraq ireland israel italy japan mexico nigeria northkorea norway poland "
    "portugal russia saudi southkorea spain sweden swiss thailand turkey uk ukraine us venezuela vietnam"
)
"""Countries, whatever letters they are written in."""
HOME = frozenset({"us"})
"""The country that desks leave out where it goes without saying."""

NAMES = NATIONS | _words(
    "boe bofa boj doj ecb fda fed ftc ge gm goldman j&j morganstanley newyork p&g sec supremecourt volkswagen "
    "wellsfargo whitehouse"
)
"""Names, whatever letters they are written in."""

TOPICS = _words(
    "add aluminum appeal approve bankrupt beef bond buy buyback car ceo cfo close coal cocoa coffee copper corn "
    "cotton dividend drug export fine fire gas gdp gold hack hire housing import impose inflation invest ipo job "
    "jobless lose loss lumber merge oil outlook output pay plane pork ppi profit quake rate recall reject resign "
    "retailer revenue sell share silver soybean steel strike sue sugar tariff wheat"
)
"""What is told of: of two titles each with one that the other has not each tells something else."""

STATES = {
    "approve": "approved", "ban": "refused", "cancel": "ended", "close": "ended", "delay": "delayed",
    "fail": "failed", "reject": "refused", "stop": "ended", "sue": "sued",
}  # fmt: skip
"""How far a thing has come, by word: a title with one tells something else than a title without."""

OPPOSITE = (
    ("rise", "fall"), ("beat", "miss"), ("buy", "sell"), ("profit", "loss"), ("hire", "fire"),
    ("hire", "resign"), ("start", "stop"), ("launch", "stop"), ("continue", "stop"), ("launch", "delay"),
    ("open", "close"), ("approve", "reject"), ("win", "lose"), ("allow", "ban"), ("confirm", "deny"),
    ("import", "export"), ("supply", "demand"), ("buy", "merge"), ("file", "emerge"), ("allow", "reject"),
)  # fmt: skip
"""Two that contradict each other where each stands alone, or comes first."""

RELATIONS = _words("beat buy invest overtake reject replace sell sue")
"""What one does to another: who stands before it and who after matters."""

PASSIVE = frozenset({"by", "from"})
"""After a relation, within two words: who does it stands behind it."""

DROPPED = _words(
    "agreement alliance appeal bid case charges claim contract lawsuit merger objections offer order partnership "
    "plan plans probe suit takeover"
)
"""What ends when it is dropped."""

MODES = {
    "comment": "comment",
    "done": "complete completed completes completion finalised finalises finalized finalizes",
    "not": (
        "arent cannot cant couldnt denied denies deny didnt doesnt dont hasnt havent isnt neither never no none nor "
        "not shouldnt unchanged unlikely wasnt werent without wont wouldnt"
    ),
    "perhaps": (
        "brink consider considering considers could discuss discusses discussing explore explores exploring eye "
        "eyeing eyes if likely may might mull mulling mulls near nearing nears perhaps poised ponder ponders "
        "possible potential premature reportedly rumored rumoured talks verge weigh weighing weighs would"
    ),
}
"""How it is said -> the words: with it and without it the same words tell something else."""

COMMENTS = _words(
    "analysis analyst breakingviews column commentary cramer cramers editorial explained explainer factbox graphic "
    "highlights instant live opinion podcast preview profile q&a review timeline"
)
"""A title with one among its first two words comments."""

ASKS = _words("are can does here heres how is should what who why will")
"""A title that begins so comments."""

NUMBERS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "dozen": 12, "hundreds": 100, "thousands": 1000,
}  # fmt: skip
ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10,
}  # fmt: skip
UNITS = {
    "%": ("%", 1.0), "percent": ("%", 1.0), "pct": ("%", 1.0), "percentage": ("%", 1.0), "bps": ("bp", 1.0),
    "basis": ("bp", 1.0), "trillion": ("n", 1e12), "trln": ("n", 1e12),
    "tn": ("n", 1e12), "billion": ("n", 1e9), "bln": ("n", 1e9),
    "bn": ("n", 1e9), "million": ("n", 1e6), "mln": ("n", 1e6), "mn": ("n", 1e6),
    "thousand": ("n", 1e3),
}  # fmt: skip
"""What follows a number -> its kind and what one of it is."""
LETTERS = {
    "b": ("n", 1e9), "m": ("n", 1e6), "k": ("n", 1e3), "t": ("n", 1e12),
}  # fmt: skip
"""Units of one letter, without a blank before them."""
MONTHS = {
    "january": 1, "jan": 1, "february": 2, "feb": 2, "march": 3, "april": 4, "apr": 4, "may": 5, "june": 6,
    "july": 7, "august": 8, "aug": 8, "september": 9, "sept": 9, "sep": 9, "october": 10, "oct": 10,
    "november": 11, "nov": 11, "december": 12, "dec": 12,
}  # fmt: skip
WEEKDAYS = {
    "monday": 0, "tuesday": 1, "wednesday": 2, "thursday": 3, "friday": 4, "saturday": 5, "sunday": 6,
}  # fmt: skip

SILENT = _words(
    "a about after again against agree agreed agreement agrees aim aims all almost also amid an and announce "
    "announced announces are around as at back based be been before between bid but by can co companies company corp "
    "data day days deal deals despite did do does due exclusive firm follow following follows for from get gets give "
    "gives group had has have he help helped helps her his hit hits how in inc intends into is it its just ltd made "
    "make makes more new now of off offer official officials on one only or our out over per plan planned planning "
    "plans plc post posted posts re report reported reporting reports roughly s said say saying says see seen sees "
    "set sets should show shown shows so some source sources still t take takes taking tell tells than thanks that "
    "the their them then there these they this those to today told under update value valued via was we week weeks "
    "were what when where which while who why will with worth year years you your"
)
"""Words that make no difference."""

PLAIN = _words(
    "accident advertisers ahead aid airbag airbags airline airlines airport alcohol aluminum amid answer antitrust "
    "app apps army ask asks assets bad baht bailout bank banks barrel barrels beauty beef beer best bigger biggest "
    "bill billionaire bitcoin board bonus bonuses book box brake brakes brand brands bridge bus cabin call calls "
    "cancer cannabis capacity cement central change changes city climate clothing cloud club coach coal coffee "
    "competition competitor computer computers conference congress construction consumer consumers container content "
    "contract copper corn cosmetics cotton countries country court creators crew crop crops cruise crypto cup cyber "
    "daily data deal democrats despite developer developers device devices diapers digital display doctor doctors "
    "document documents domestic drilling drink drone drones early eastern education election electric email energy "
    "engine engines estate expansion face faces farmer farmers fashion fast faster federal fight fights filing film "
    "films final first flash flat flood following football foreign fund funds gas gold good half hardware health "
    "healthcare hedge help high hospital hotel hotels housing industry inflation insurance insurer international "
    "internet interview inventories inventory issue issues jewelry judge key last late latest launchpad law leader "
    "league letter line lira local long low lumber luxury major market markets mars match media metal metals "
    "military milk mine mining minister missile missiles mixed mobile model models monopoly moon mortgage move moves "
    "movie music national need needs network next northern nuclear offer office old online output overhaul paper "
    "papers party patients peer peers pension pensions peso pipeline platform player players police political "
    "politician politicians pork port pound power president pressure prison privacy private problem problems product "
    "products project projects property public push question questions race rail rand real recovery refinery region "
    "rent republicans restaurant restaurants restructuring revamp review risk risks rival rivals road robot robots "
    "rouble ruble rupee safety satellite school screen search season second sector seek seeks senate service "
    "services shale sharp sharply shift ship shipment shipments ships shoes short signal signals silver site "
    "slightly slower small social software solar southern soy soybean soybeans space speech sport sports stable "
    "stage star state statement states steel stimulus strategy streaming strength sugar support surprise talks "
    "tenants third threat threaten threatens tobacco total tourism toy toys trade trader traders trading train "
    "travel truck trucks turnaround tv university voters want wants war watch watches weakness weather web western "
    "wheat wind wireless wood worst yen yield yields young yuan"
)
"""Plain words: where capital letters do not tell names from words, these are none."""

DESKS = _words(
    "afp analyst analysts ap axios barrons bbc benzinga bloomberg business chronicle cnbc cnn daily document "
    "documents engadget filing finance forbes fortune ft guardian herald independent insider journal marketwatch "
    "media memo money news newswire nyt official officials paper politico poll post press report reports reuters "
    "seeking source sources spokesman spokesperson spokeswoman street survey techcrunch telegram telegraph times "
    "today tribune verge wire wsj yahoo"
)
"""Who is named behind a title's dash: a desk, or on whose word."""


@cache
def modes() -> Mapping[str, str]:
    """Return the mode of each word that says one."""
    return {word: mode for mode, words in MODES.items() for word in words.split()}


@cache
def opposites() -> Mapping[str, frozenset[str]]:
    """Return what contradicts each word."""
    found: dict[str, set[str]] = {}
    for one, other in OPPOSITE:
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {word: frozenset(others) for word, others in found.items()}
