"""The thesaurus of headlines: which words, and which words together, say the same. English, in lower case.

Belongs here: word lists, written by hand, and how they are looked up; a word that is not here stands for itself. What
kinds of words there are is core/news/kinds.
"""

from collections.abc import Mapping
from functools import cache

Phrase = tuple[tuple[str, ...], tuple[str, ...]]
"""Words, and what is put in their place."""

SAME = {
    "add": "add added adding adds",
    "advert": "ad ads advert advertisement advertisements advertising adverts",
    "allow": "allow allowed allows permits",
    "analyst": "analyst analysts",
    "annual": "annual yearly",
    "appeal": "appeal appealed appeals",
    "approve": (
        "accept accepted accepts adopt adopted adopts approval approvals approve approved approves approving "
        "authorises authorizes backed backs clear cleared clears endorse endorsed endorsement endorses favor favour "
        "greenlights nod ok okayed okays passed passes ratification ratifies ratify"
    ),
    "argentina": "argentina argentine",
    "arrest": "arrest arrested arrests detain detained detains",
    "attack": "assault attack attacks",
    "australia": "australia australian",
    "austria": "austria austrian",
    "ban": (
        "ban banned banning bans bar barred bars block blocked blocking blocks forbid prohibit prohibition prohibits"
    ),
    "bankrupt": "bankrupt bankruptcy insolvency insolvent",
    "battery": "batteries battery",
    "beat": (
        "above beat beating beats exceed exceeded exceeds outpace outpaces outperforms outstrip outstrips surpass "
        "surpassed surpasses top topped tops trounces"
    ),
    "belgium": "belgian belgium",
    "big": "big giant giants large",
    "bond": "bond bonds treasuries treasury",
    "border": "border borders",
    "brazil": "brazil brazilian",
    "buy": (
        "acquire acquired acquirer acquires acquiring acquisition bought buy buying buyout buys purchase purchased "
        "purchases purchasing snap takeover"
    ),
    "buyback": "buyback buybacks repurchase repurchases",
    "canada": "canada canadian",
    "cancel": "cancel canceled cancellation cancelled cancelling cancels scrap scrapped scrapping scraps",
    "car": "auto automobile autos car cars vehicle vehicles",
    "ceo": "boss ceo chief",
    "chairman": "chair chairman chairwoman",
    "charge": "accuse accused accuses charge charged charges",
    "child": "child children childrens kid kids",
    "chile": "chile chilean",
    "china": "beijing china chinas chinese",
    "chip": "chip chips semiconductor semiconductors",
    "claim": "claim claims",
    "close": "close closed closes closing closure closures shut shuts shutting",
    "concern": "anxiety concern concerns fear fears jitters worried worries worry",
    "confirm": "confirm confirmed confirms",
    "continue": "continue continued continues extend extended extends keep keeps",
    "coronavirus": "coronavirus covid pandemic virus",
    "cost": "cost costing costs",
    "crash-event": "collision crash-event",
    "crisis": "crisis turmoil",
    "currency": "currencies currency forex fx",
    "debt": "credit debt debts",
    "deficit": "deficit deficits gap",
    "delay": "delay delayed delaying delays postpone postponed postponement postpones postponing",
    "delivery": "deliver delivered deliveries delivering delivers delivery",
    "demand": "demand demanded demands",
    "denmark": "danish denmark",
    "deposit": "deposit depositor depositors deposits",
    "die": "dead death deaths die died dies fatal kill killed kills",
    "dividend": "dividend dividends payout payouts",
    "dollar": "dollar greenback",
    "driver": "driver drivers",
    "drug": "drug drugs medicine therapy treatment",
    "dutch": "dutch netherlands",
    "effective": "effective effectiveness efficacy",
    "egypt": "egypt egyptian",
    "eu": "eu europe european europes",
    "euro": "euro euros",
    "exchange": "bourse exchange",
    "executive": "exec execs executive executives",
    "expect": "consensus estimate estimates expectation expectations",
    "explosion": "blast blasts explode exploded explodes explosion explosions",
    "export": "export exports",
    "expose": "expose exposed exposes leak leaked leaks",
    "fail": "fail failed fails failure",
    "fall": (
        "axe axed axes contracted contracts cool cooled cooling cools crash crashed crashes cut cuts cutting "
        "decelerate decline declined declines declining decrease decreased decreases depress depressed deteriorate "
        "dip dipped dips dive dives down downgrade downgraded downgrades drag drags drop dropped dropping drops ease "
        "eased eases easing eliminate eliminates erode erodes fall fallen falling falls fell lower lowered lowers "
        "lowest narrows nosedive nosedives plummet plummeted plummets plunge plunged plunges plunging reduce reduced "
        "reduces reducing retreat retreated retreats sag sags sank shed shedding sheds shrank shrink shrinking "
        "shrinks sink sinking sinks skid skids slash slashed slashes slashing slid slide slides sliding slip slipped "
        "slips slow slowed slowing slows slump slumped slumps tank tanked tanks trim trimmed trims tumble tumbled "
        "tumbles tumbling weak weaken weakened weakens weaker weakest worsen worsened worsens"
    ),
    "fed": "fed feds fomc",
    "fine": "fine fined fines penalties penalty",
    "finland": "finland finnish",
    "fire": "ejects fire fired fires oust ousted ousts remove removed removes sack sacked sacks",
    "fire-event": "blaze fire-event wildfire wildfires",
    "flaw": "defect defective defects fault faults faulty flaw flaws",
    "flee": "fled flee flees",
    "flight": "flight flights",
    "founder": "cofounder founder",
    "france": "france french",
    "game": "game games gaming",
    "gdp": "economic economy gdp",
    "germany": "german germany germanys",
    "global": "global globally world worldwide",
    "government": "administration government",
    "greece": "greece greek",
    "guilty": "convict convicted guilty",
    "hack": "breach cyberattack hack hacked hackers hacks",
    "headquarter": "headquarter headquarters hq",
    "hire": (
        "appoint appointed appointment appoints hire hired hires hiring hirings named names picks recruit recruits "
        "tap taps"
    ),
    "home": "home homes house houses",
    "hope": "hope hopes optimism",
    "hour": "hour hourly",
    "hurricane": "cyclone hurricane hurricanes storm storms typhoon",
    "immigrant": "immigrant immigrants immigration migrant migrants",
    "import": "import imported imports",
    "impose": "impose imposed imposes imposing set-tariff slap slapped slaps",
    "india": "india indian",
    "indict": "indict indicted indictment indicts",
    "indonesia": "indonesia indonesian",
    "invest": "invest invested investing investment invests",
    "investor": "investor investors",
    "iran": "iran iranian",
    "iraq": "iraq iraqi",
    "ireland": "ireland irish",
    "israel": "israel israeli",
    "italy": "italian italy",
    "japan": "japan japanese japans",
    "job": "employee employees headcount job jobs position positions staff worker workers workforce",
    "jobless": "jobless unemployment",
    "launch": (
        "debut debuts introduce introduced introduces introducing launch launched launches launching release "
        "released releases rollout unveil unveiled unveiling unveils"
    ),
    "lawmaker": "congressman lawmaker lawmakers legislator legislators senator senators",
    "lender": "lender lenders",
    "loan": "lending loan loans",
    "lockdown": "lockdown shutdown",
    "lose": "lose loses losing lost",
    "loss": "loss losses",
    "maker": "maker makers manufacturer manufacturers",
    "meet": "meet meeting meets met summit",
    "merge": "combine combines merge merger mergers merges merging",
    "mexico": "mexican mexico",
    "minimum": "least minimum",
    "miss": "below disappoint disappointing disappoints lag lags miss missed misses undershoot undershoots",
    "monthly": "month monthly",
    "nigeria": "nigeria nigerian",
    "norway": "norway norwegian",
    "oil": "crude oil",
    "open": "open opened opening opens reopen reopened reopens",
    "operation": "operation operations",
    "order": "order ordered orders",
    "outlook": "forecast forecasts guidance outlook projection projections view views",
    "partner": "alliance partner partners partnership team teams",
    "pay": "pay salaried salaries salary wage wages",
    "phone": "handset handsets phone phones smartphone smartphones",
    "pilot": "pilot pilots",
    "plane": "aircraft airliner airliners airplane jet jets plane planes",
    "plant": "factories factory plant plants",
    "poland": "poland polish",
    "poll": "poll survey",
    "portugal": "portugal portuguese",
    "price": "price prices pricing",
    "probe": "inquiry investigate investigated investigates investigating investigation probe probed probes",
    "produce": "produce produced produces producing production",
    "profit": "earnings income profit profits",
    "protest": "demonstration demonstrations protest protester protesters protests",
    "quake": "earthquake quake",
    "quarterly": "quarter quarterly",
    "rate": "rate rates",
    "reach": "reach reached reaches seal sealed seals struck",
    "recall": "recall recalled recalling recalls",
    "recession": "downturn recession",
    "regulator": "regulator regulators watchdog watchdogs",
    "reject": (
        "denial dismiss dismissal dismissed dismisses dismissing oppose opposed opposes rebuff rebuffed rebuffs "
        "refusal refuse refused refuses refusing reject rejected rejecting rejection rejects snub snubbed snubs "
        "spurns veto vetoes"
    ),
    "replace": "replace replaced replaces replacing",
    "resign": (
        "depart departed departing departs departure departures exit exits leaves leaving left quit quits quitting "
        "resign resignation resigned resigning resigns retire retirement retires stepping"
    ),
    "retailer": "chain retail retailer",
    "revenue": "revenue revenues sales turnover",
    "rise": (
        "accelerate accelerated accelerates advance advanced advances boost boosted boosts bounce bounced bounces "
        "build builds bump bumped bumps buoyant buoyed buoys climb climbed climbing climbs double doubled doubles "
        "expand expanded expands gain gained gains grew grow growing grown grows higher highest hike hiked hikes "
        "improve improved improves increase increased increases jump jumped jumps leap leaps leapt lift lifted lifts "
        "mount mounts pops quicken quickens raise raised raises raising rallied rallies rally rallying rebound "
        "rebounded rebounds recover recovered recovers rise risen rises rising rocket rockets rose skyrockets soar "
        "soared soaring soars spike spiked spikes strengthen strengthened strengthens strong stronger strongest "
        "surge surged surges surging swell swells triple tripled triples up upbeat upgrade upgraded upgrades ups "
        "widens"
    ),
    "ruling": "decision judgment rule ruled rules ruling sides verdict",
    "russia": "russia russian",
    "same-store": "comparable like-for-like same-store",
    "sanction": "sanction sanctions",
    "seize": "confiscate seize seized seizes seizure",
    "sell": (
        "dispose disposes divest divestiture divestment divests dump dumped dumps offload offloading offloads sale "
        "sell selling selloff sells shop sold spin spins unload unloads"
    ),
    "sentence": "imprisoned jail jailed sentence sentenced sentences",
    "settle": "settle settled settlement settlements settles settling",
    "share": "equities equity share shares stock stocks",
    "shareholder": "shareholder shareholders stockholder stockholders",
    "shortage": "shortage shortages",
    "spain": "spain spanish",
    "spend": "spend spending spends spent",
    "split": (
        "break breaks breakup demerge demerger separate separated separates separation spinoff split splits splitting"
    ),
    "stake": "holding holdings stake stakes",
    "start": (
        "began begin begins begun kick restart restarts resume resumed resumes resumption start started starting starts"
    ),
    "steady": "held hold holds maintain maintains pat remain remains stand stands stay stayed stays steady",
    "steal": "steal steals stole stolen theft",
    "stop": (
        "abandon abandoned abandons cease ceases ceasing cessation collapse collapsed collapses discontinue "
        "discontinues ditch ditches end ended ending ends fold folds freeze freezes frozen halt halted halting halts "
        "pause paused pauses pull pulled pulls shelve shelved shelves stop stopped stopping stops suspend suspended "
        "suspending suspends suspension terminate terminated terminates terminating termination withdraw withdrawal "
        "withdrawing withdraws withdrew"
    ),
    "store": "outlet outlets store stores",
    "strand": "strand stranded stranding strands",
    "strike": "strike strikes walkout",
    "subscriber": "subscriber subscribers",
    "succeed": "succeed succeeded succeeds success successful",
    "sue": "lawsuit lawsuits sue sued sues suing suit suits",
    "supply": "supplies supply",
    "sweden": "sweden swedish",
    "swiss": "swiss switzerland",
    "tariff": "duties duty levies levy tariff tariffs",
    "tax": "tax taxation taxes",
    "tech": "tech technologies technology",
    "test": "study test tested testing tests trial trials",
    "thailand": "thai thailand",
    "trade-pact": "accord pact trade-pact treaty",
    "troop": "soldiers troop troops",
    "turkey": "turkey turkish",
    "uk": "britain britains british uk",
    "ukraine": "ukraine ukrainian",
    "unit": "arm business division subsidiary unit",
    "urge": "press pressed presses urge urged urges",
    "us": "america american americas us usa",
    "user": "client clients customer customers user users",
    "vaccine": "jab jabs shot vaccine vaccines",
    "venezuela": "venezuela venezuelan",
    "video": "video videos",
    "vietnam": "vietnam vietnamese",
    "visit": "visit visited visits",
    "volkswagen": "volkswagen vw",
    "vote": "vote voted votes voting",
    "warn": "caution cautions warn warned warning warns",
    "weapon": "arms weapon weapons",
    "win": "award awarded clinch clinches land landed lands secure secured secures win winner winning wins won",
    "worker-union": "union unions worker-union",
}
"""What is put in a word's place -> the words."""

PHRASES = {
    "": ("to pay", "will pay"),
    "ai": ("artificial intelligence",),
    "annual": ("full year",),
    "approve": (
        "give go ahead", "give green light", "give nod", "go ahead", "green light", "sign off", "vote for",
        "wave through",
    ),
    "autonomous": ("driverless", "self driving"),
    "bankrupt": ("bankruptcy protection", "chapter 11", "creditor protection", "file for chapter 11"),
    "beat": ("ahead of", "come in above"),
    "beat expect": ("better than expected",),
    "boe": ("bank of england",),
    "bofa": ("bank of america",),
    "boj": ("bank of japan",),
    "buy": ("snap up", "take over"),
    "buyback": ("buy back", "share buyback", "share repurchase", "stock buyback", "stock repurchase"),
    "centralbank": ("central bank",),
    "ceo": ("chief executive", "chief executive officer"),
    "cfo": ("chief financial officer", "finance chief", "finance director"),
    "comment": ("things to know", "what to expect", "what to know", "what to watch"),
    "delay": ("push back", "put off"),
    "doj": ("department of justice", "justice department"),
    "ecb": ("european central bank",),
    "eu": ("european union",),
    "ev": ("electric car", "electric cars", "electric vehicle", "electric vehicles"),
    "fall": ("cut back", "pare back", "scale back"),
    "fall job": ("job cuts", "job losses", "lay off", "lay offs", "layoffs", "let go"),
    "fda": ("food and drug administration",),
    "fed": ("federal reserve", "us central bank"),
    "file bankrupt": ("seek bankruptcy",),
    "ftc": ("federal trade commission",),
    "gdp": ("gross domestic product",),
    "ge": ("general electric",),
    "gm": ("general motors",),
    "goldman": ("goldman sachs",),
    "hack": ("cyber attack", "data breach"),
    "harddrive": ("hard drive",),
    "hire": ("bring in",),
    "hongkong": ("hong kong",),
    "inflation": ("consumer price index", "consumer prices", "cpi"),
    "ipo": ("go public", "initial public offering", "list shares", "market debut"),
    "j&j": ("johnson johnson",),
    "job": ("jobs report", "work force"),
    "jobless rate": ("jobless rate",),
    "launch": ("roll out",),
    "lse": ("london stock exchange",),
    "miss": ("come in below", "fall short", "short of"),
    "miss expect": ("worse than expected",),
    "morganstanley": ("morgan stanley",),
    "newyork": ("new york",),
    "nodeal": ("no deal",),
    "northkorea": ("north korea",),
    "not": ("fail to", "no longer", "rule out"),
    "p&g": ("procter gamble",),
    "perhaps": ("in discussions", "in talks", "said to"),
    "ppi": ("producer price", "producer prices"),
    "profit": ("bottom line", "net income"),
    "rate": ("borrowing costs", "interest rate", "interest rates"),
    "record fall": ("all time low", "record low"),
    "record rise": ("all time high", "record high", "year high"),
    "reject": ("turn down",),
    "resign": ("pull out of", "stand down", "step aside", "step down"),
    "revenue": ("top line",),
    "rise": ("ramp up", "step up"),
    "ruling lose": ("rule against",),
    "ruling win": ("rule for", "side with"),
    "same-store": ("like for like", "same store"),
    "saudi": ("saudi arabia",),
    "sec": ("securities and exchange commission",),
    "sell": ("sell off",),
    "share market": ("stock market",),
    "southkorea": ("south korea",),
    "split": ("break up", "spin off"),
    "stop": (
        "bring to end", "call off", "close down", "pull out", "pull plug", "shut down", "walk away",
        "walk away from", "wind down",
    ),
    "sue": ("file lawsuit", "file legal action", "file suit", "take to court"),
    "supremecourt": ("supreme court",),
    "uk": ("united kingdom",),
    "us": ("united states",),
    "us share": ("wall street",),
    "wellsfargo": ("wells fargo",),
    "whitehouse": ("white house",),
    "win": ("come from behind", "in favor of", "in favour of"),
}  # fmt: skip
"""What is put in their place -> words that say it together."""

VERBS = {
    "break": "break breaks broke broken breaking",
    "bring": "bring brings brought bringing",
    "buy": "buy buys bought buying",
    "call": "call calls called calling",
    "close": "close closes closed closing",
    "come": "come comes came coming",
    "fail": "fail fails failed failing",
    "fall": "fall falls fell fallen falling",
    "file": "file files filed filing",
    "give": "give gives gave given giving",
    "go": "go goes went gone going",
    "lay": "lay lays laid laying",
    "miss": "miss misses missed missing",
    "pull": "pull pulls pulled pulling",
    "push": "push pushes pushed pushing",
    "roll": "roll rolls rolled rolling",
    "rule": "rule rules ruled ruling",
    "scale": "scale scales scaled scaling",
    "seek": "seek seeks sought seeking",
    "sell": "sell sells sold selling",
    "set": "set sets setting",
    "shut": "shut shuts shutting",
    "side": "side sides sided siding",
    "sign": "sign signs signed signing",
    "snap": "snap snaps snapped snapping",
    "spin": "spin spins spun spinning",
    "stand": "stand stands stood standing",
    "step": "step steps stepped stepping",
    "take": "take takes took taken taking",
    "turn": "turn turns turned turning",
    "vote": "vote votes voted voting",
    "walk": "walk walks walked walking",
    "wind": "wind winds wound winding",
}
"""The first word of a phrase -> all its forms."""


@cache
def canonical() -> Mapping[str, str]:
    """Return what is put in each word's place."""
    return {word: one for one, words in SAME.items() for word in words.split()}


@cache
def phrases() -> Mapping[str, tuple[Phrase, ...]]:
    """Return first word -> the phrases that begin with it, the longest first."""
    found: dict[str, list[Phrase]] = {}
    for instead, told in PHRASES.items():
        for first, *others in (phrase.split() for phrase in told):
            for form in VERBS.get(first, first).split():
                found.setdefault(form, []).append(((form, *others), tuple(instead.split())))
    return {first: tuple(sorted(each, key=lambda one: -len(one[0]))) for first, each in found.items()}
