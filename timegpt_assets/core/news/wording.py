"""The thesaurus of headlines: which words, and which words together, say the same. English, in lower case.

Belongs here: word lists, written by hand, and how they are looked up; a word that is not here stands for itself. What
kinds of words there are is core/news/kinds.
"""

from collections.abc import Mapping
from functools import cache

Phrase = tuple[tuple[str, ...], tuple[str, ...]]
"""Words, and what is put in their place."""

SAME = {
    "add": "add adds added adding",
    "advert": "ad ads advert adverts advertising advertisement advertisements",
    "allow": "allow allows allowed permits",
    "analyst": "analyst analysts",
    "annual": "annual yearly",
    "appeal": "appeal appeals appealed",
    "approve": (
        "backs backed endorse endorses endorsed ratify ratifies adopt adopts adopted ok okayed clear cleared favor "
        "favour approve approves approved approval approving okays clears passes passed authorizes authorises accept "
        "accepts accepted nod greenlights"
    ),
    "argentina": "argentina argentine",
    "arrest": "arrest arrests arrested detain detains detained",
    "attack": "attack attacks assault",
    "australia": "australia australian",
    "austria": "austria austrian",
    "ban": "ban bans banned bar bars barred forbid prohibits",
    "bankrupt": "bankruptcy bankrupt insolvency insolvent",
    "battery": "battery batteries",
    "beat": (
        "outstrip outstrips beat beats beating top tops topped exceed exceeds exceeded above surpass surpasses "
        "surpassed outpace outpaces outperforms trounces"
    ),
    "belgium": "belgium belgian",
    "big": "big giant giants large",
    "bond": "bond bonds treasury treasuries",
    "border": "border borders",
    "brazil": "brazil brazilian",
    "buy": (
        "snap purchasing acquirer buy buys buying bought acquire acquires acquired acquiring acquisition purchase "
        "purchases purchased takeover buyout"
    ),
    "buyback": "buyback buybacks repurchase repurchases",
    "canada": "canada canadian",
    "cancel": "cancel cancels cancelled canceled cancelling scrap scraps scrapped",
    "car": "car cars vehicle vehicles auto autos automobile",
    "ceo": "ceo boss chief",
    "chairman": "chairman chair chairwoman",
    "charge": "charge charges charged accuse accuses accused",
    "child": "child children childrens kid kids",
    "chile": "chile chilean",
    "china": "china chinese chinas beijing",
    "chip": "chip chips semiconductor semiconductors",
    "claim": "claim claims",
    "close": "close closes closed closing shut shuts shutting closure",
    "concern": "concern concerns worry worries fear fears worried anxiety jitters",
    "confirm": "confirm confirms confirmed",
    "continue": "continue continues continued extend extends extended keep keeps",
    "coronavirus": "coronavirus covid virus pandemic",
    "cost": "cost costs costing",
    "crash-event": "crash-event collision",
    "crisis": "crisis turmoil",
    "currency": "currency currencies forex fx",
    "debt": "debt debts credit",
    "deficit": "deficit deficits gap",
    "delay": "delay delays delayed postpone postpones postponed",
    "delivery": "deliver delivers delivered delivering delivery deliveries",
    "demand": "demand demands demanded",
    "denmark": "denmark danish",
    "deposit": "deposit deposits depositor depositors",
    "die": "die dies died dead death deaths kill kills killed fatal",
    "dividend": "dividend dividends payout payouts",
    "dollar": "dollar greenback",
    "driver": "driver drivers",
    "drug": "drug drugs medicine treatment therapy",
    "dutch": "dutch netherlands",
    "effective": "effective efficacy effectiveness",
    "egypt": "egypt egyptian",
    "eu": "eu europe european europes",
    "euro": "euro euros",
    "exchange": "exchange bourse",
    "executive": "executive executives exec execs",
    "expect": "expectation expectations estimate estimates consensus",
    "explosion": "explosion explosions blast blasts explode explodes exploded",
    "export": "export exports",
    "expose": "expose exposes exposed leak leaks leaked",
    "fail": "fail fails failed failure",
    "fall": (
        "downgrade downgrades downgraded lowest weak weaker weakest worsen worsens worsened deteriorate slow slows "
        "slowed slowing cool cools cooled cooling shrinking erode erodes tank tanks tanked nosedive nosedives slump "
        "retreats depress depressed decelerate drags drag fall falls fell fallen falling drop drops dropped dropping "
        "decline declines declined declining slide slides slid sliding slip slips slipped sink sinks sank sinking "
        "plunge plunges plunged plunging tumble tumbles tumbled tumbling dip dips dipped slumps slumped down lower "
        "lowers lowered shrink shrinks shrank decrease decreases decreased plummet plummets plummeted sag sags weaken "
        "weakens weakened retreat retreated ease eases eased easing skid skids dive dives cut cuts cutting reduce "
        "reduces reduced reducing trim trims trimmed slash slashes slashed slashing axe axes axed shed sheds shedding "
        "eliminate eliminates narrows crash crashes crashed contracts contracted"
    ),
    "fed": "fed feds fomc",
    "fine": "fine fines fined penalty penalties",
    "finland": "finland finnish",
    "fire": "remove removes removed ejects fire fires fired oust ousts ousted sack sacks sacked",
    "fire-event": "fire-event blaze wildfire wildfires",
    "flaw": "flaw flaws defect defects fault faults faulty defective",
    "flee": "flee flees fled",
    "flight": "flight flights",
    "founder": "founder cofounder",
    "france": "france french",
    "game": "game games gaming",
    "gdp": "gdp economy economic",
    "germany": "germany german germanys",
    "global": "global globally worldwide world",
    "government": "government administration",
    "greece": "greece greek",
    "guilty": "guilty convicted convict",
    "hack": "hack hacks hacked breach cyberattack hackers",
    "headquarter": "headquarters headquarter hq",
    "hire": "hire hires hired hiring appoint appoints appointed names named tap taps picks recruit recruits",
    "home": "home homes house houses",
    "hope": "hope hopes optimism",
    "hour": "hour hourly",
    "hurricane": "hurricane hurricanes storm storms cyclone typhoon",
    "immigrant": "immigrant immigrants migrant migrants immigration",
    "import": "import imports imported",
    "impose": "impose set-tariff imposes imposed imposing slap slaps slapped",
    "india": "india indian",
    "indict": "indict indicts indicted indictment",
    "indonesia": "indonesia indonesian",
    "invest": "invest invests invested investing investment",
    "investor": "investor investors",
    "iran": "iran iranian",
    "iraq": "iraq iraqi",
    "ireland": "ireland irish",
    "israel": "israel israeli",
    "italy": "italy italian",
    "japan": "japan japanese japans",
    "job": "job jobs staff workforce employee employees worker workers headcount position positions",
    "jobless": "unemployment jobless",
    "launch": (
        "launch launches launched unveil unveils unveiled introduce introduces introduced debut debuts release "
        "releases released rollout"
    ),
    "lawmaker": "lawmaker lawmakers senator senators congressman legislator legislators",
    "lender": "lender lenders",
    "loan": "loan loans lending",
    "lockdown": "lockdown shutdown",
    "lose": "lose loses lost losing",
    "loss": "loss losses",
    "maker": "maker makers manufacturer manufacturers",
    "meet": "meet meets met meeting summit",
    "merge": "merge merges merging merger combine combines",
    "mexico": "mexico mexican",
    "minimum": "minimum least",
    "miss": "undershoot below lag miss misses missed undershoots disappoint disappoints disappointing lags",
    "monthly": "monthly month",
    "nigeria": "nigeria nigerian",
    "norway": "norway norwegian",
    "oil": "oil crude",
    "open": "open opens opened opening reopen reopens reopened",
    "operation": "operation operations",
    "order": "order orders ordered",
    "outlook": "forecast forecasts outlook guidance projection projections view views",
    "partner": "partner partners partnership alliance team teams",
    "pay": "pay wage wages salary salaries salaried",
    "phone": "phone phones smartphone smartphones handset handsets",
    "pilot": "pilot pilots",
    "plane": "plane planes jet jets airplane aircraft airliner airliners",
    "plant": "plant plants factory factories",
    "poland": "poland polish",
    "poll": "poll survey",
    "portugal": "portugal portuguese",
    "price": "price prices pricing",
    "probe": "probe probes probed investigate investigates investigated investigation investigating inquiry",
    "produce": "produce produces produced production producing",
    "profit": "profit profits earnings income",
    "protest": "protest protests protester protesters demonstration demonstrations",
    "quake": "quake earthquake",
    "quarterly": "quarterly quarter",
    "rate": "rate rates",
    "reach": "reach reaches reached struck seal seals sealed",
    "recall": "recall recalls recalled recalling",
    "recession": "recession downturn",
    "regulator": "regulator regulators watchdog watchdogs",
    "reject": (
        "dismiss dismissed snub snubs snubbed rebuffed oppose opposes opposed reject rejects rejected rejection block "
        "blocks blocked blocking refuse refuses refused spurns veto vetoes rebuff rebuffs"
    ),
    "replace": "replace replaces replaced replacing",
    "resign": (
        "resign resigns resigned quit quits depart departs departed departure exit exits leaves leaving left retire "
        "retires retirement"
    ),
    "retailer": "retailer retail chain",
    "revenue": "revenue revenues sales turnover",
    "rise": (
        "upgrade upgrades upgraded mount mounts improve improves improved accelerate accelerates accelerated expand "
        "expands expanded build builds recover recovers recovered highest strong stronger strongest buoyant buoyed "
        "buoys swell climbing bounce bounces bounced pops rocket rockets quicken quickens bump bumps bumped double "
        "doubles doubled triple triples tripled rise rises rose risen rising climb climbs climbed jump jumps jumped "
        "surge surges surged surging soar soars soared soaring gain gains gained rally rallies rallied rallying "
        "advance advances advanced increase increases increased grow grows grew grown growing up higher leap leaps "
        "leapt spike spikes spiked rebound rebounds rebounded skyrockets raise raises raised raising hike hikes hiked "
        "lift lifts lifted boost boosts boosted strengthen strengthens strengthened ups upbeat swells widens"
    ),
    "ruling": "ruling rules ruled rule sides verdict judgment decision",
    "russia": "russia russian",
    "same-store": "comparable same-store like-for-like",
    "sanction": "sanction sanctions",
    "seize": "seize seizes seized seizure confiscate",
    "sell": (
        "dump dumps dumped offloading spins spin dispose disposes selloff divestment divestiture shop sell sells "
        "selling sold divest divests offload offloads unload unloads sale"
    ),
    "sentence": "sentence sentences sentenced jailed jail imprisoned",
    "settle": "settle settles settled settlement settling",
    "share": "share shares stock stocks equity equities",
    "shareholder": "shareholder shareholders stockholder stockholders",
    "shortage": "shortage shortages",
    "spain": "spain spanish",
    "spend": "spend spends spent spending",
    "split": (
        "split splits splitting separate separates separated separation break breaks breakup spinoff demerge demerger"
    ),
    "stake": "stake stakes holding holdings",
    "start": "start starts started begin begins began begun resume resumes resumed restart restarts kick",
    "steady": "steady hold holds held stand stands pat maintain maintains stay stays stayed remain remains",
    "steal": "steal steals stolen stole theft",
    "stop": (
        "shelve shelves shelved terminate terminates terminated withdraw withdraws withdrew withdrawal collapse "
        "collapses collapsed fold folds pull pulls pulled discontinue discontinues freeze freezes frozen stop stops "
        "stopped halt halts halted suspend suspends suspended end ends ended cease ceases pause pauses paused abandon "
        "abandons abandoned ditch ditches"
    ),
    "store": "store stores outlet outlets",
    "strand": "strand strands stranded stranding",
    "strike": "strike strikes walkout",
    "subscriber": "subscriber subscribers",
    "succeed": "succeed succeeds succeeded success successful",
    "sue": "sue sues sued suing lawsuit suit",
    "supply": "supply supplies",
    "sweden": "sweden swedish",
    "swiss": "swiss switzerland",
    "tariff": "tariff tariffs duty duties levy levies",
    "tax": "tax taxes taxation",
    "tech": "tech technology technologies",
    "test": "test tests tested testing trial trials study",
    "thailand": "thailand thai",
    "trade-pact": "trade-pact pact accord treaty",
    "troop": "troop troops soldiers",
    "turkey": "turkey turkish",
    "uk": "uk britain british britains",
    "ukraine": "ukraine ukrainian",
    "unit": "unit division arm business subsidiary",
    "urge": "urge urges urged press presses pressed",
    "us": "us usa america american americas",
    "user": "user users customer customers client clients",
    "vaccine": "vaccine vaccines jab jabs shot",
    "venezuela": "venezuela venezuelan",
    "video": "video videos",
    "vietnam": "vietnam vietnamese",
    "visit": "visit visits visited",
    "volkswagen": "volkswagen vw",
    "vote": "vote votes voted voting",
    "warn": "warn warns warned warning caution cautions",
    "weapon": "weapon weapons arms",
    "win": "win wins won winning secure secures secured land lands landed clinch clinches award awarded",
    "worker-union": "worker-union union unions",
}
"""What is put in a word's place -> the words."""

PHRASES = {
    "": ("to pay", "will pay"),
    "ai": ("artificial intelligence",),
    "annual": ("full year",),
    "approve": ("go ahead", "green light", "signs off", "vote for", "voted for", "votes for"),
    "autonomous": ("driverless", "self driving"),
    "bankrupt": ("chapter 11",),
    "beat": ("ahead of",),
    "beat expect": ("better than expected",),
    "boe": ("bank of england",),
    "bofa": ("bank of america",),
    "boj": ("bank of japan",),
    "buy": ("snap up", "snaps up", "take over", "taken over", "takes over"),
    "buyback": ("buy back", "buys back", "share buyback", "share repurchase", "stock buyback", "stock repurchase"),
    "centralbank": ("central bank",),
    "ceo": ("chief executive", "chief executive officer"),
    "cfo": ("chief financial officer", "finance chief", "finance director"),
    "comment": ("things to know", "what to expect", "what to know", "what to watch"),
    "delay": ("pushed back", "pushes back"),
    "doj": ("department of justice", "justice department"),
    "ecb": ("european central bank",),
    "eu": ("european union",),
    "ev": ("electric car", "electric cars", "electric vehicle", "electric vehicles"),
    "fall job": ("job cuts", "job losses", "lay off", "lay offs", "laying off", "layoffs", "lays off"),
    "fda": ("food and drug administration",),
    "fed": ("federal reserve", "us central bank"),
    "ftc": ("federal trade commission",),
    "gdp": ("gross domestic product",),
    "ge": ("general electric",),
    "gm": ("general motors",),
    "goldman": ("goldman sachs",),
    "hack": ("cyber attack", "data breach"),
    "harddrive": ("hard drive",),
    "hongkong": ("hong kong",),
    "inflation": ("consumer price index", "consumer prices", "cpi"),
    "ipo": ("go public", "goes public", "initial public offering", "market debut"),
    "j&j": ("johnson johnson",),
    "job": ("jobs report", "work force"),
    "jobless rate": ("jobless rate",),
    "launch": ("roll out", "rolls out"),
    "lse": ("london stock exchange",),
    "miss": ("fall short", "falls short", "fell short", "short of"),
    "miss expect": ("worse than expected",),
    "morganstanley": ("morgan stanley",),
    "newyork": ("new york",),
    "nodeal": ("no deal",),
    "northkorea": ("north korea",),
    "not": ("fail to", "failed to", "fails to", "no longer", "ruled out", "rules out"),
    "p&g": ("procter gamble",),
    "perhaps": ("in discussions", "in talks", "said to"),
    "ppi": ("producer price", "producer prices"),
    "profit": ("bottom line", "net income"),
    "rate": ("borrowing costs", "interest rate", "interest rates"),
    "record fall": ("all time low", "record low"),
    "record rise": ("all time high", "record high", "year high"),
    "reject": ("turned down", "turns down"),
    "resign": (
        "pulls out of",
        "stand down",
        "stands down",
        "step down",
        "stepped down",
        "stepping down",
        "steps aside",
        "steps down",
    ),
    "revenue": ("top line",),
    "ruling lose": ("ruled against", "rules against"),
    "ruling win": ("rules for", "sided with", "sides with"),
    "same-store": ("like for like", "same store"),
    "saudi": ("saudi arabia",),
    "sec": ("securities and exchange commission",),
    "share market": ("stock market",),
    "southkorea": ("south korea",),
    "split": ("break up", "breaks up", "spin off", "spins off"),
    "stop": (
        "call off",
        "called off",
        "calls off",
        "closes down",
        "shut down",
        "shuts down",
        "walk away",
        "walks away",
        "walks away from",
    ),
    "sue": ("files lawsuit", "files suit", "takes to court"),
    "supremecourt": ("supreme court",),
    "uk": ("united kingdom",),
    "us": ("united states",),
    "us share": ("wall street",),
    "wellsfargo": ("wells fargo",),
    "whitehouse": ("white house",),
    "win": ("comes from behind", "in favor of", "in favour of"),
}
"""What is put in their place -> words that say it together."""


@cache
def canonical() -> Mapping[str, str]:
    """Return what is put in each word's place."""
    return {word: one for one, words in SAME.items() for word in words.split()}


@cache
def phrases() -> Mapping[str, tuple[Phrase, ...]]:
    """Return first word -> the phrases that begin with it, the longest first."""
    found: dict[str, list[Phrase]] = {}
    for instead, told in PHRASES.items():
        for words in (tuple(phrase.split()) for phrase in told):
            found.setdefault(words[0], []).append((words, tuple(instead.split())))
    return {first: tuple(sorted(each, key=lambda one: -len(one[0]))) for first, each in found.items()}
