"""What sample events are made of: three houses with a character of their own, in English and French. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field

from skep.webapp.store.offers import QuestionDraft, VoucherDraft


def both(english: str, french: str) -> dict[str, str]:
    return {"en": english, "fr": french}


@dataclass(frozen=True, slots=True)
class SampleType:
    """*price* in cents."""

    title: dict[str, str]
    price: int = 0
    description: dict[str, str] = field(default_factory=dict)
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """An event *in_days* from today. *sold*: tickets of its first type, of its first session."""

    slug: str
    title: dict[str, str]
    description: dict[str, str]
    place: str
    in_days: int
    at: tuple[int, int]
    minutes: int
    types: tuple[SampleType, ...]
    places: int | None = None
    again_in_days: tuple[int, ...] = ()
    sold: int = 0
    tax_bp: int = 0
    questions: tuple[QuestionDraft, ...] = ()
    voucher: VoucherDraft | None = None


FULL = both("Full price", "Plein tarif")
REDUCED = both("Reduced", "Tarif réduit")
REDUCED_FOR = both("Students, under 26, job seekers", "Étudiants, moins de 26 ans, demandeurs d’emploi")
ENTRY = both("Entry", "Entrée")

MAKERS = (
    Sample(
        "open-studio-night",
        both("Open studio night", "Nuit des ateliers ouverts"),
        both(
            "All workshops are open until late. Print a poster, try the loom, and see what is being made behind the "
            "doors you pass every day.\n\nThere is soup at eight. Children are welcome.",
            "Tous les ateliers restent ouverts jusque tard. Imprimez une affiche, essayez le métier à tisser, et "
            "découvrez ce qui se fabrique derrière ces portes.\n\nUne soupe est servie à vingt heures. Les enfants "
            "sont les bienvenus.",
        ),
        "Atelier Nord, 12 rue des Tanneurs, Lille",
        in_days=9, at=(18, 30), minutes=270,
        types=(SampleType(ENTRY, at_most=6),), places=120, sold=31,
    ),
    Sample(
        "repair-cafe",
        both("Repair café", "Café réparation"),
        both(
            "Bring what no longer works: lamps, radios, trousers, bicycles. We repair it together, and nobody goes "
            "home without coffee.",
            "Apportez ce qui ne marche plus : lampes, radios, pantalons, vélos. Nous réparons ensemble, et personne ne "
            "repart sans café.",
        ),
        "Maison du quartier, 4 place Sébastopol, Lille",
        in_days=16, at=(14, 0), minutes=180,
        types=(SampleType(both("A place at the table", "Une place à la table"), at_most=2),), places=14, sold=9,
        again_in_days=(28, 56),
        questions=(QuestionDraft("line", both("What do you bring?", "Qu’apportez-vous ?"), is_required=True),),
    ),
    Sample(
        "bookbinding-weekend",
        both("Bookbinding in a weekend", "Relier un livre en un week-end"),
        both(
            "Two days, one book. You sew, glue and cover a notebook by hand, with tools and paper provided.\n\nNo "
            "experience is needed; eight people, one teacher.",
            "Deux jours, un livre. Vous cousez, collez et couvrez un carnet à la main ; outils et papier sont fournis."
            "\n\nAucune expérience requise ; huit personnes, une enseignante.",
        ),
        "Atelier Nord, 12 rue des Tanneurs, Lille",
        in_days=23, at=(10, 0), minutes=420,
        types=(
            SampleType(FULL, 14500, both("Material included", "Matériel compris"), at_most=2),
            SampleType(REDUCED, 11000, REDUCED_FOR, at_most=2),
        ),
        places=8, sold=5, tax_bp=2000,
        questions=(
            QuestionDraft("choice", both("Which paper?", "Quel papier ?"), is_required=True,
                          choices=(both("Ivory", "Ivoire"), both("White", "Blanc"), both("Grey", "Gris"))),
            QuestionDraft("line", both("Is there something you cannot eat?", "Y a-t-il quelque chose que vous ne mangez pas ?")),
        ),
        voucher=VoucherDraft("ATELIER", None, 10, "percent", 1500),
    ),
    Sample(
        "makers-market",
        both("Winter makers’ market", "Marché d’hiver des artisans"),
        both(
            "Forty makers from the region sell what they made themselves: ceramics, knives, knitwear, honey.",
            "Quarante artisans de la région vendent ce qu’ils ont fait : céramique, couteaux, tricots, miel.",
        ),
        "Halle aux sucres, Lille",
        in_days=30, at=(10, 0), minutes=540, types=(SampleType(ENTRY),),
    ),
)  # fmt: skip

CONCERTS = (
    Sample(
        "quatuor-alder",
        both("Alder Quartet: Ravel and Saariaho", "Quatuor Alder : Ravel et Saariaho"),
        both(
            "Ravel’s only string quartet beside two of Kaija Saariaho’s late works, played in a room for eighty people "
            "where one hears the bow before the note.\n\nDoors open half an hour before. There is no interval.",
            "L’unique quatuor de Ravel aux côtés de deux œuvres tardives de Kaija Saariaho, dans une salle de quatre-"
            "vingts places où l’on entend l’archet avant la note.\n\nOuverture des portes une demi-heure avant. "
            "Sans entracte.",
        ),
        "Chapelle Saint-Éloi, 3 rue du Bouleau, Nantes",
        in_days=6, at=(20, 0), minutes=75,
        types=(SampleType(FULL, 2400), SampleType(REDUCED, 1400, REDUCED_FOR)), places=80, sold=73, tax_bp=550,
    ),
    Sample(
        "lunchtime-songs",
        both("Songs at lunchtime", "Midi chansons"),
        both(
            "Forty minutes of songs, a bowl of something warm, and back to work. A different singer each Thursday.",
            "Quarante minutes de chansons, un bol de quelque chose de chaud, et retour au travail. Chaque jeudi, une "
            "autre voix.",
        ),
        "Café Bouleau, 8 quai de la Fosse, Nantes",
        in_days=11, at=(12, 30), minutes=60, again_in_days=(7, 14, 21),
        types=(SampleType(both("Song and bowl", "Chanson et bol"), 1200),), places=40, sold=12, tax_bp=1000,
    ),
    Sample(
        "night-of-the-organ",
        both("Night of the organ", "Nuit de l’orgue"),
        both(
            "Five organists, from dusk to midnight. Come and go as you like; blankets are at the door.",
            "Cinq organistes, du crépuscule à minuit. Entrez et sortez à votre guise ; des couvertures vous attendent.",
        ),
        "Église Saint-Clair, Nantes",
        in_days=19, at=(19, 30), minutes=270, types=(SampleType(ENTRY, 800),), places=300, sold=40, tax_bp=550,
    ),
    Sample(
        "open-rehearsal",
        both("Open rehearsal", "Répétition ouverte"),
        both(
            "Sit between the players while they work. For everybody who always wanted to know what is said on stage.",
            "Asseyez-vous entre les musiciens pendant qu’ils travaillent. Pour savoir enfin ce qui se dit sur scène.",
        ),
        "Chapelle Saint-Éloi, 3 rue du Bouleau, Nantes",
        in_days=27, at=(10, 0), minutes=120, types=(SampleType(both("Chair", "Chaise"), at_most=2),), places=6, sold=6,
    ),
)  # fmt: skip

STAGE = (
    Sample(
        "the-lighthouse-keepers",
        both("The Lighthouse Keepers", "Les Gardiens du phare"),
        both(
            "Two sisters, a lamp that must not go out, and a letter neither wants to open. A new play by Maud Kerven, "
            "in French with English surtitles.\n\n“The quietest thriller of the season.”",
            "Deux sœurs, une lampe qui ne doit pas s’éteindre, et une lettre qu’aucune ne veut ouvrir. Une pièce "
            "nouvelle de Maud Kerven.\n\n« Le thriller le plus silencieux de la saison. »",
        ),
        "Cedar Hall, 21 rue du Cèdre, Lyon",
        in_days=8, at=(20, 30), minutes=105, again_in_days=(1, 2),
        types=(
            SampleType(FULL, 2800),
            SampleType(REDUCED, 1600, REDUCED_FOR),
            SampleType(both("Under 12", "Moins de 12 ans"), 800),
        ),
        places=140, sold=36, tax_bp=550, voucher=VoucherDraft("CEDRE", None, 20, "subtract", 500),
    ),
    Sample(
        "how-forests-talk",
        both("How forests talk", "Comment les forêts se parlent"),
        both(
            "The botanist Idris Benali on roots, fungi and what trees know of each other. With time for questions.",
            "Le botaniste Idris Benali parle de racines, de champignons et de ce que les arbres savent les uns des "
            "autres. Avec du temps pour vos questions.",
        ),
        "Cedar Hall, 21 rue du Cèdre, Lyon",
        in_days=13, at=(19, 0), minutes=90, types=(SampleType(both("Seat", "Place"), at_most=4),), places=140, sold=22,
    ),
    Sample(
        "improvised-shakespeare",
        both("Improvised Shakespeare", "Shakespeare improvisé"),
        both(
            "You shout a title, they play the tragedy. It has never been seen before and will never be seen again.",
            "Vous criez un titre, ils jouent la tragédie. On ne l’a jamais vue, on ne la reverra jamais.",
        ),
        "Cedar Hall, the cellar, Lyon",
        in_days=20, at=(21, 0), minutes=80,
        types=(SampleType(ENTRY, 1500),), places=45, sold=42, tax_bp=550,
    ),
    Sample(
        "puppets-for-grown-ups",
        both("Puppets for grown-ups", "Marionnettes pour grandes personnes"),
        both(
            "String puppets, a live piano and Kafka’s shortest stories.",
            "Des marionnettes à fils, un piano et les plus courtes histoires de Kafka.",
        ),
        "Cedar Hall, 21 rue du Cèdre, Lyon",
        in_days=34, at=(20, 0), minutes=70,
        types=(SampleType(FULL, 1800), SampleType(REDUCED, 1200, REDUCED_FOR)), places=90, tax_bp=550,
    ),
)  # fmt: skip

HOUSES = (STAGE, MAKERS, CONCERTS)


def samples_for(tenant: str) -> tuple[Sample, ...]:
    """One of the houses: always the same for the same tenant, and another for its neighbours in the alphabet."""
    return HOUSES[ord(tenant[0]) % len(HOUSES)]
