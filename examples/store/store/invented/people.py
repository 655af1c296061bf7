"""People who do not exist. Addresses lie under `.example`, telephone numbers in the 555-01 range."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property

FIRST = [
    "Ada",
    "Agnes",
    "Aisha",
    "Alba",
    "Amara",
    "Anika",
    "Anton",
    "Astrid",
    "Beatriz",
    "Bodil",
    "Boris",
    "Brigitte",
    "Camila",
    "Carlos",
    "Cedric",
    "Chiara",
    "Claudia",
    "Cosima",
    "Dagmar",
    "Daria",
    "Davide",
    "Dimitri",
    "Dorothea",
    "Edda",
    "Edgar",
    "Elif",
    "Elina",
    "Emeka",
    "Enrico",
    "Esther",
    "Fabian",
    "Farida",
    "Felipe",
    "Fenja",
    "Fiona",
    "Florian",
    "Frida",
    "Gabor",
    "Georgia",
    "Gideon",
    "Giulia",
    "Greta",
    "Gustav",
    "Hamza",
    "Hanna",
    "Hassan",
    "Helena",
    "Henrik",
    "Hiroshi",
    "Ibrahim",
    "Ilse",
    "Imani",
    "Ines",
    "Ingrid",
    "Isak",
    "Ivana",
    "Jakob",
    "Janina",
    "Jasper",
    "Johanna",
    "Jorge",
    "Juliane",
    "Kamal",
    "Karim",
    "Katarina",
    "Keiko",
    "Kofi",
    "Lars",
    "Leila",
    "Leonie",
    "Liam",
    "Linnea",
    "Lorenzo",
    "Ludmila",
    "Luisa",
    "Magnus",
    "Malin",
    "Marcel",
    "Marisol",
    "Mathilda",
    "Mehmet",
    "Mikael",
    "Milena",
    "Nadia",
    "Naomi",
    "Nikolai",
    "Noor",
    "Odette",
    "Oksana",
    "Olivier",
    "Orla",
    "Oskar",
    "Paloma",
    "Pavel",
    "Philippa",
    "Piotr",
    "Quentin",
    "Rafael",
    "Raisa",
    "Ramona",
    "Renata",
    "Rikard",
    "Roberta",
    "Ruben",
    "Sabine",
    "Salma",
    "Samir",
    "Sanna",
    "Selma",
    "Sergio",
    "Silke",
    "Sofia",
    "Stefan",
    "Svetlana",
    "Tamar",
    "Tariq",
    "Teodor",
    "Thea",
    "Tobias",
    "Ulrika",
    "Valentina",
    "Vera",
    "Viktor",
    "Wanda",
    "Xenia",
    "Yara",
    "Yusuf",
    "Zofia",
]
LAST = [
    "Abara",
    "Albrecht",
    "Almeida",
    "Andersson",
    "Aoki",
    "Arslan",
    "Baptiste",
    "Barbosa",
    "Becker",
    "Bergstrom",
    "Bianchi",
    "Bjornstad",
    "Bonnard",
    "Borges",
    "Brandt",
    "Carvalho",
    "Castellano",
    "Chaudhry",
    "Cifuentes",
    "Dahlberg",
    "Delacroix",
    "Demir",
    "Diallo",
    "Dubois",
    "Eberhardt",
    "Eklund",
    "Eriksen",
    "Esposito",
    "Fairweather",
    "Falk",
    "Ferreira",
    "Fitzgerald",
    "Fontaine",
    "Forsberg",
    "Friedrich",
    "Gallagher",
    "Garcia",
    "Giordano",
    "Gonzalez",
    "Gutierrez",
    "Haddad",
    "Hakimi",
    "Hartmann",
    "Haugen",
    "Herrera",
    "Hoffmann",
    "Holmberg",
    "Ibarra",
    "Iglesias",
    "Ivanova",
    "Jankowski",
    "Jimenez",
    "Johansson",
    "Kaminski",
    "Karlsson",
    "Kaya",
    "Keller",
    "Khalil",
    "Kobayashi",
    "Kovacs",
    "Kowalski",
    "Krause",
    "Laurent",
    "Leclerc",
    "Lehmann",
    "Lindqvist",
    "Lombardi",
    "Lopez",
    "Lovelace",
    "Lundgren",
    "Maeda",
    "Malik",
    "Marchetti",
    "Martinez",
    "Mbeki",
    "Mendoza",
    "Moreau",
    "Mukherjee",
    "Nakamura",
    "Navarro",
    "Neumann",
    "Nielsen",
    "Novak",
    "Nowak",
    "Obasanjo",
    "Oconnor",
    "Okafor",
    "Olofsson",
    "Onyango",
    "Ortega",
    "Ozturk",
    "Papadakis",
    "Pereira",
    "Petrov",
    "Pilgaard",
    "Popescu",
    "Quintana",
    "Rahimi",
    "Ramirez",
    "Reinholt",
    "Ricci",
    "Rodriguez",
    "Rossetti",
    "Rousseau",
    "Saarinen",
    "Sandoval",
    "Santoro",
    "Schreiber",
    "Schuster",
    "Sjoberg",
    "Sokolov",
    "Sorensen",
    "Steinmann",
    "Suzuki",
    "Takahashi",
    "Tanaka",
    "Thibault",
    "Toivonen",
    "Torres",
    "Ueda",
    "Urbina",
    "Vandenberg",
    "Vasquez",
    "Vogel",
    "Wagner",
    "Watanabe",
    "Weidmann",
    "Winkler",
    "Yamamoto",
    "Yilmaz",
    "Zapata",
    "Zielinski",
    "Zimmermann",
]
STREETS = [
    "Alder",
    "Anchor",
    "Birch",
    "Bridge",
    "Canal",
    "Cedar",
    "Chapel",
    "Copper",
    "Dune",
    "Elm",
    "Falcon",
    "Foundry",
    "Garden",
    "Harvest",
    "Heron",
    "Juniper",
    "Lantern",
    "Linden",
    "Maple",
    "Meadow",
    "Orchard",
    "Osprey",
    "Pilot",
    "Quarry",
    "Ropewalk",
    "Saddler",
    "Tannery",
    "Weaver",
    "Willow",
    "Windmill",
]
WAYS = ("Street", "Lane", "Road", "Row", "Court", "Walk")
CITIES = [
    "Ashcombe",
    "Brackwater",
    "Calderby",
    "Dunmarsh",
    "Eastvale",
    "Fernhaven",
    "Gullholm",
    "Highmoor",
    "Ivelton",
    "Kelsund",
    "Larkhaven",
    "Mossford",
    "Northwick",
    "Oxmere",
    "Pendrift",
    "Quarrington",
    "Ravensea",
    "Saltmarket",
    "Thornbury",
    "Underhill",
    "Vexford",
    "Westhollow",
    "Yarrowgate",
]
COUNTRIES = ("US", "US", "US", "CA", "GB", "DE")
MAILBOXES = ("mail.example", "post.example", "inbox.example", "letters.example")


@dataclass(frozen=True)
class Person:
    """One invented person, number `id` from 1."""

    id: int
    first_name: str
    last_name: str
    phone: str
    street: str
    city: str
    postcode: str
    country: str
    ip: str

    @cached_property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"

    @cached_property
    def email(self) -> str:
        return f"{self.username}@{MAILBOXES[self.id % len(MAILBOXES)]}"

    @cached_property
    def username(self) -> str:
        return f"{self.first_name}.{self.last_name}{self.id}".lower()

    @cached_property
    def file_name(self) -> str:
        return f"{self.first_name}-{self.last_name}-{self.id}".lower()

    @cached_property
    def address(self) -> dict[str, str]:
        return {"street": self.street, "postcode": self.postcode, "city": self.city, "country": self.country}


def people(chance: random.Random, count: int) -> list[Person]:
    """The first is always Ada Lovelace, so that a demonstration has a name to look for."""
    made = []
    for number in range(1, count + 1):
        first, last = chance.choice(FIRST), chance.choice(LAST)
        if number == 1:
            first, last = "Ada", "Lovelace"
        made.append(
            Person(
                id=number,
                first_name=first,
                last_name=last,
                phone=f"+1 {200 + number // 100 % 700} 555-01{number % 100:02}",
                street=f"{chance.randrange(1, 240)} {chance.choice(STREETS)} {chance.choice(WAYS)}",
                city=chance.choice(CITIES),
                postcode=f"{chance.randrange(10000, 99999)}",
                country=chance.choice(COUNTRIES),
                ip=f"198.51.{100 + number // 250 % 100}.{number % 250 + 1}",
            )
        )
    return made


def card_number(chance: random.Random) -> str:
    """Sixteen digits with a valid check digit, under a prefix that test cards have."""
    digits = "400000" + f"{chance.randrange(10**9):09}"
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(digits))
    number = digits + str(-total % 10)
    return " ".join(number[start : start + 4] for start in range(0, 16, 4))


def secret(seed: int, kind: str, number: int) -> str:
    """A token that looks random and is the same every time."""
    return hashlib.sha256(f"{seed} {kind} {number}".encode()).hexdigest()[:40]
