"""The registry of languages: adding a language is one entry here.

An entry holds plain facts that prompts, gates, graders and scorers read; what they do with them stands in their rooms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from launch.errors import InputError

Script = Literal["Latn", "Jpan"]


@dataclass(frozen=True)
class Language:
    """What the product knows about one language.

    Args:
        code: ISO 639-1.
        name: the English name, as prompts use it.
        native_name: the name in the language itself, as pages show it.
        script: ISO 15924; ``Jpan`` stands for kanji and kana and is written without spaces between words.
        sacrebleu_tokenizer: the tokenizer under which BLEU means something.
        decimal_separator: what natives write between units and tenths.
        group_separators: what natives write between groups of three digits, the usual one first. White space of any
            width groups digits in every language and is not listed.
        both_conventions: True where decimal point and decimal comma are both in native use (Spanish: Mexico and
            Spain).
        answer_words: nouns that announce an answer when a colon or a copula follows ("Answer: 5", "the answer is 5").
        answer_phrases: copulas and connectives between such a noun and the answer.
        conclusion_words: words that open a concluding sentence.
        fraction_words: number words beyond the cardinals, with their value as a fraction: halves, doubles, dozens. A
            ``?`` in front of the value says that the word often means something else ("second", "quarter"); several
            values are parted by ``|``.
        cardinal_forms: inflected or colloquial cardinals that a number speller does not produce.
        homographs: cardinals that are more often another word (French "neuf", new; Italian "sei", you are).
        homograph_before: words after which such a cardinal is the number all the same ("ha sei", he has six).
        scale_words: words that multiply the number before them, with the power of ten.
        ordinal_endings: the ending of an ordinal as a speller writes it, and the endings that may stand there.
        percent_words: what stands for the percent sign.
        negative_words: what makes the number beside it negative ("minus 5", "5 below zero").
        months: the names of the months, January first; a date may write them as numbers.
        compounds: numbers are the beginning of longer words ("zehnjährig").
        function_words: frequent short words, evidence for language identification. Words shared between languages may
            stand in several entries.
        length_ratio: the usual number of characters of a translation from English, divided by the English characters;
            the most and least that the length gate accepts are derived from it.
    """

    code: str
    name: str
    native_name: str
    script: Script
    sacrebleu_tokenizer: str
    decimal_separator: str
    group_separators: str
    answer_words: tuple[str, ...]
    answer_phrases: tuple[str, ...]
    conclusion_words: tuple[str, ...]
    fraction_words: dict[str, str]
    cardinal_forms: dict[str, int]
    scale_words: dict[str, int]
    percent_words: tuple[str, ...]
    negative_words: tuple[str, ...]
    months: tuple[str, ...]
    function_words: frozenset[str]
    ordinal_endings: tuple[tuple[str, tuple[str, ...]], ...] = ()
    homographs: frozenset[str] = frozenset()
    homograph_before: frozenset[str] = frozenset()
    length_ratio: float = 1.0
    both_conventions: bool = False
    compounds: bool = False

    @property
    def spaced(self) -> bool:
        """Words are parted by spaces."""
        return self.script != "Jpan"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _tuple(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language(
            code="en",
            name="English",
            native_name="English",
            script="Latn",
            sacrebleu_tokenizer="13a",
            decimal_separator=".",
            group_separators=",",
            answer_words=("final answer", "correct answer", "answer", "final result", "result", "solution", "total"),
            answer_phrases=("is", "are", "was", "equals", "would be", "will be", "comes to", "should be"),
            conclusion_words=("therefore", "thus", "so", "hence", "in conclusion", "finally", "in total"),
            fraction_words={
                "half": "?1/2|30|50", "halves": "1/2", "third": "?1/3", "thirds": "1/3", "quarter": "?1/4|25|15",
                "quarters": "?1/4|25", "fourth": "?1/4", "fourths": "1/4", "fifth": "?1/5", "fifths": "1/5",
                "sixth": "?1/6", "sixths": "1/6", "eighth": "?1/8", "eighths": "1/8", "tenth": "?1/10",
                "tenths": "1/10", "twice": "2", "double": "2", "doubles": "2", "doubled": "2", "thrice": "3",
                "triple": "3", "triples": "3", "tripled": "3", "quadruple": "4", "dozen": "12", "pair": "?2",
                "couple": "?2", "both": "?2", "once": "?1", "single": "?1", "dime": "?10", "dimes": "?10",
                "nickel": "?5", "nickels": "?5", "penny": "?1", "pennies": "?1", "score": "?20",
                "fortnight": "?14|2", "weekly": "?1|7", "twofold": "2", "threefold": "3", "noon": "?12",
                "midnight": "?0|12|24", "second": "?2", "nil": "0", "none": "?0",
            },
            cardinal_forms={"nought": 0},
            scale_words={"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12},
            percent_words=("percent", "per cent"),
            negative_words=("minus", "negative", "below zero"),
            months=_tuple(
                "january february march april may june july august september october november december"
            ),
            homographs=frozenset({"one"}),
            function_words=_words(
                "the of and to a in is you that it he was for on are as with his they i at be this have from or one "
                "had by but not what all were we when your can said there use an each which she do how their if "
                "will up other about out many then them these so some her would make like him into time has look "
                "two more go see no way could my than been who its now did get may over after where much total left "
                "per therefore answer does every buys bought sold sells gives gave eats ate costs how's it's i'm "
                "don't write function returns given number numbers list string value please explain why here am "
                "apples books pens dollars hours days week weeks minutes students children money box boxes cards "
                "friends eggs cost price paid buy sell pay twice half together spent earns makes takes needs wants "
                "works reads both sum loop array sorted input output else correct wrong sure sorry hello thank "
                "thanks good morning night tomorrow today yes because should while during between also first second "
                "last next new old big small red blue green dog cat house school think know okay great page pages "
                "oranges bananas cookies marbles train trip print prints writes water food people man woman teacher "
                "true false month months year years euros variable step remainder points ticket"
            ),
        ),
        Language(
            code="fr",
            name="French",
            native_name="français",
            script="Latn",
            sacrebleu_tokenizer="13a",
            decimal_separator=",",
            group_separators=".",
            answer_words=(
                "réponse finale", "bonne réponse", "réponse", "résultat final", "résultat", "solution", "total",
            ),
            answer_phrases=("est de", "est donc", "est", "sont", "vaut", "sera", "serait", "s'élève à"),
            conclusion_words=("donc", "ainsi", "par conséquent", "en conclusion", "finalement", "au total", "enfin"),
            fraction_words={
                "demi": "?1/2|30", "demie": "?1/2|30", "demis": "1/2", "moitié": "1/2", "tiers": "1/3",
                "quart": "?1/4|15",
                "quarts": "1/4", "cinquième": "?1/5", "cinquièmes": "1/5", "sixième": "?1/6", "sixièmes": "1/6",
                "huitième": "?1/8", "huitièmes": "1/8", "dixième": "?1/10", "dixièmes": "1/10", "double": "2",
                "doubles": "2", "doublé": "2", "triple": "3", "triplé": "3", "quadruple": "4", "douzaine": "12",
                "douzaines": "12", "dizaine": "?10", "dizaines": "?10", "vingtaine": "?20", "trentaine": "?30",
                "centaine": "?100", "centaines": "?100", "millier": "?1000", "paire": "?2", "couple": "?2",
                "deuxième": "?2", "second": "?2", "seconde": "?2", "premier": "?1", "première": "?1",
                "troisième": "?3", "quatrième": "?4", "quinzaine": "?15", "aucun": "?0", "aucune": "?0",
            },
            cardinal_forms={"une": 1, "septante": 70, "huitante": 80, "nonante": 90},
            scale_words={
                "cent": 2, "cents": 2, "mille": 3, "million": 6, "millions": 6, "milliard": 9, "milliards": 9,
                "billion": 12, "billions": 12,
            },
            percent_words=("pour cent", "pourcent"),
            negative_words=("moins", "négatif", "sous zéro", "en dessous de zéro", "au-dessous de zéro"),
            months=_tuple("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
            ordinal_endings=(("ième", ("ième", "ièmes")),),
            homographs=frozenset({"un", "une", "neuf"}),
            homograph_before=_words(
                "ai as a avons avez ont avait avaient les ses mes ces sont reste restent dans pour"
            ),
            function_words=_words(
                "on obtient le la les de des du un une et est en que qui dans pour pas sur avec son sa ses au aux "
                "ce cette ces il elle ils elles nous vous je tu se ne plus par mais ou où donc or ni car a ont sont "
                "était été être avoir fait faire leur leurs combien comment pourquoi quel quelle quels quelles "
                "chaque si tout tous toute toutes maintenant reste total prix coûte jour jours pommes entre aussi "
                "très bien comme peut même après avant sans sous chez c'est d'un d'une j'ai qu'il n'est voici merci "
                "bonjour fonction liste nombre nombres réponse chaîne renvoie écrivez alors ça moi toi lui y notre "
                "votre livres stylos euros heures heure semaine semaines minutes élèves enfants argent boîte boîtes "
                "cartes amis œufs oeufs achète vend vendu payé paie deux trois quatre cinq sept huit moitié "
                "ensemble dépense gagne prend besoin veut travaille lit somme boucle tableau entrée sortie sinon "
                "correct faux sûr désolé matin soir demain aujourd'hui parce devrait pendant premier première "
                "dernier prochain nouveau petit grand rouge bleu vert chien chat maison école pense sais moins vélo "
                "possède mange adore billes fleurs bonbons jardin page pages oranges bananes biscuits train trajet "
                "voyage dure imprime imprimer eau gens homme femme professeur lignes joueur joue recette verres va "
                "vrai vraie mois an ans années valeur variable étape points vaut billet vite"
            ),
            length_ratio=1.15,
        ),
        Language(
            code="es",
            name="Spanish",
            native_name="español",
            script="Latn",
            sacrebleu_tokenizer="13a",
            decimal_separator=",",
            group_separators=".",
            answer_words=(
                "respuesta final", "respuesta correcta", "respuesta", "resultado final", "resultado", "solución",
                "total",
            ),
            answer_phrases=("es de", "es", "son", "sería", "será", "equivale a", "asciende a"),
            conclusion_words=(
                "por lo tanto", "por tanto", "entonces", "así que", "en conclusión", "en total", "luego",
            ),
            fraction_words={
                "medio": "?1/2|30", "media": "?1/2|30", "mitad": "1/2", "mitades": "1/2", "tercio": "1/3",
                "tercios": "1/3",
                "tercera": "?1/3", "cuarto": "?1/4|15", "cuarta": "?1/4", "cuartos": "1/4", "quinto": "?1/5",
                "quinta": "?1/5", "quintos": "1/5", "sexto": "?1/6", "octavo": "?1/8", "octavos": "1/8",
                "décimo": "?1/10", "décima": "?1/10", "décimas": "1/10", "doble": "2", "dobles": "2",
                "duplica": "2", "duplicó": "2", "triple": "3", "triplica": "3", "triplicó": "3", "cuádruple": "4",
                "docena": "12", "docenas": "12", "decena": "?10", "decenas": "?10", "centenar": "?100", "par": "?2",
                "pareja": "?2", "segundo": "?2", "segunda": "?2", "primer": "?1", "primero": "?1", "primera": "?1",
                "tercer": "?3", "tercero": "?3", "ambos": "?2", "ambas": "?2", "quincena": "?15",
                "ninguno": "?0", "ninguna": "?0",
            },
            cardinal_forms={
                "un": 1, "una": 1, "veintiún": 21, "veintiuna": 21, "cien": 100, "doscientas": 200,
                "trescientas": 300, "cuatrocientas": 400, "quinientas": 500, "seiscientas": 600, "setecientas": 700,
                "ochocientas": 800, "novecientas": 900,
            },
            scale_words={"cientos": 2, "mil": 3, "miles": 3, "millón": 6, "millones": 6, "billón": 12, "billones": 12},
            percent_words=("por ciento", "porciento"),
            negative_words=("menos", "negativo", "bajo cero"),
            months=_tuple("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
            ordinal_endings=(("o", ("o", "a", "os", "as", "")),),
            homographs=frozenset({"un", "uno", "una"}),
            function_words=_words(
                "el la los las de del un una unos unas y es en que quien para por con no se su sus al lo como más "
                "pero o si le les ha han son era fue ser estar está están hay tiene tienen yo tú él ella ellos "
                "ellas nosotros usted ustedes me te nos mi tu este esta estos estas ese esa cuánto cuántos cuántas "
                "cuánta cómo qué cuál cada todo todos toda todas ahora quedan queda total precio cuesta día días "
                "manzanas entre también muy bien puede mismo después antes sin sobre porque cuando donde entonces "
                "gracias hola función lista número números respuesta cadena devuelve escribe compra vende ya nada "
                "otro otra libros bolígrafos dólares euros horas hora semana semanas minutos estudiantes niños "
                "dinero caja cajas cartas amigos huevos compró vendió pagó paga dos tres cuatro cinco siete ocho "
                "nueve mitad juntos gasta gana hace necesita quiere trabaja lee suma bucle entrada salida correcto "
                "seguro siento mañana noche hoy debería durante primer primero último próximo nuevo pequeño grande "
                "rojo azul verde perro perros gato casa escuela piensa sé sabe sí claro vez veces uno dice par "
                "cuestan pesa come flores dulces jardín escribir usa buenos buenas libras según además página "
                "páginas naranjas galletas canicas pegatinas tren viaje dura imprime imprimir reunió reúne agua "
                "gente hombre mujer profesor jugador juega receta vasos quedaron va verdadero falso mes meses año "
                "años paso resto valor variable definida puntos vale boleto rápido"
            ),
            length_ratio=1.12,
            both_conventions=True,
        ),
        Language(
            code="de",
            name="German",
            native_name="Deutsch",
            script="Latn",
            sacrebleu_tokenizer="13a",
            decimal_separator=",",
            group_separators=".'’",
            answer_words=(
                "endgültige antwort", "richtige antwort", "antwort", "endergebnis", "ergebnis", "lösung", "gesamt",
                "insgesamt",
            ),
            answer_phrases=("lautet", "ist", "sind", "beträgt", "wäre", "ergibt"),
            conclusion_words=("also", "daher", "somit", "deshalb", "folglich", "insgesamt", "schließlich"),
            fraction_words={
                "halb": "?1/2|30", "halbe": "?1/2|30", "halben": "1/2", "halber": "1/2", "halbes": "1/2",
                "hälfte": "1/2",
                "drittel": "1/3", "viertel": "?1/4|15", "fünftel": "1/5", "sechstel": "1/6", "achtel": "1/8",
                "zehntel": "1/10", "dritteln": "1/3", "vierteln": "?1/4|15", "fünfteln": "1/5",
                "sechsteln": "1/6", "achteln": "1/8", "zehnteln": "1/10",
                "anderthalb": "3/2", "eineinhalb": "3/2", "doppelt": "2", "doppelte": "2",
                "doppelten": "2", "doppelter": "2", "doppeltes": "2", "verdoppelt": "2", "zweifach": "2",
                "dreifache": "3", "dreifach": "3", "verdreifacht": "3", "vierfache": "4", "vierfach": "4",
                "dutzend": "12", "paar": "?2", "beide": "?2", "beiden": "?2", "einmal": "?1", "zweite": "?2",
                "zweiten": "?2", "zweiter": "?2", "erste": "?1", "ersten": "?1", "erster": "?1", "dritte": "?3",
                "dritten": "?3", "vierte": "?4", "vierten": "?4", "keine": "?0", "kein": "?0", "keinen": "?0",
            },
            cardinal_forms={
                "ein": 1, "eine": 1, "einen": 1, "einem": 1, "einer": 1, "eines": 1, "zwo": 2, "zweier": 2,
                "dreier": 3, "fuenf": 5, "zwoelf": 12, "dreissig": 30, "elfhundert": 1100, "zwölfhundert": 1200,
                "dreizehnhundert": 1300, "vierzehnhundert": 1400, "fünfzehnhundert": 1500, "sechzehnhundert": 1600,
                "siebzehnhundert": 1700, "achtzehnhundert": 1800, "neunzehnhundert": 1900,
            },
            scale_words={
                "hundert": 2, "tausend": 3, "million": 6, "millionen": 6, "milliarde": 9, "milliarden": 9,
                "billion": 12, "billionen": 12,
            },
            percent_words=("prozent",),
            negative_words=("minus", "negativ", "unter null"),
            months=_tuple("januar februar märz april mai juni juli august september oktober november dezember"),
            ordinal_endings=(("e", ("e", "en", "er", "es", "em", "ens")),),
            homographs=frozenset({"ein", "eins", "eine", "einen", "einem", "einer", "eines"}),
            compounds=True,
            function_words=_words(
                "der die das und ist in zu den dem des ein eine einen einem einer eines nicht von mit sich auf für "
                "als auch es an werden wird aus er sie wir ihr ich du hat haben hatte war waren sind sein seine "
                "seinen ihre ihren ihrem dass daß wie viele viel wieviel bei nach noch nur oder aber wenn kann man "
                "so um am im zum zur vom bis über unter durch jeder jede jedes jetzt insgesamt beträgt kostet "
                "kosten preis tag tage äpfel stück pro bleiben übrig alle was wer wo warum welche welcher diese "
                "dieser dieses dann also denn mehr weniger funktion liste zahl zahlen antwort gib zurück schreibe "
                "bitte danke hallo guten mein meine dein uns euch kein keine doch schon heute lautet verkauft kauft "
                "bücher stifte dollar euro stunden stunde woche wochen minuten schüler kinder geld kiste kisten "
                "karten freunde eier gekauft bezahlt zahlt zwei drei vier fünf sechs sieben acht neun hälfte "
                "zusammen gibt verdient macht nimmt braucht will arbeitet liest summe schleife eingabe ausgabe "
                "sonst richtig falsch sicher leid morgen abend gestern weil sollte während zwischen erste letzte "
                "nächste neue klein groß rot blau grün hund katze haus schule denke weiß vielen dank natürlich ja "
                "nein gerne spät geht isst blumen garten verwende prüft enthält murmeln mal seite seiten orangen "
                "kekse aufkleber zug fahrt dauert druckt wasser leute mann frau lehrer spieler spielt rezept gläser "
                "wahr monat monate jahr jahre schritt rest wert variable schnell punkte"
            ),
            length_ratio=1.15,
        ),
        Language(
            code="it",
            name="Italian",
            native_name="italiano",
            script="Latn",
            sacrebleu_tokenizer="13a",
            decimal_separator=",",
            group_separators=".'’",
            answer_words=(
                "risposta finale", "risposta corretta", "risposta", "risultato finale", "risultato", "soluzione",
                "totale",
            ),
            answer_phrases=("è di", "è", "sono", "sarà", "sarebbe", "equivale a", "ammonta a"),
            conclusion_words=("quindi", "pertanto", "dunque", "perciò", "in conclusione", "in totale", "infine"),
            fraction_words={
                "mezzo": "?1/2|30", "mezza": "?1/2|30", "mezzi": "1/2", "metà": "1/2", "terzo": "?1/3", "terzi": "1/3",
                "quarto": "?1/4", "quarti": "1/4", "quinto": "?1/5", "quinti": "1/5", "sesto": "?1/6",
                "ottavo": "?1/8", "ottavi": "1/8", "decimo": "?1/10", "decimi": "1/10", "doppio": "2", "doppia": "2",
                "doppi": "2", "raddoppia": "2", "raddoppiato": "2", "triplo": "3", "triplica": "3",
                "triplicato": "3", "quadruplo": "4", "dozzina": "12", "dozzine": "12", "decina": "?10",
                "decine": "?10", "ventina": "?20", "trentina": "?30", "centinaio": "?100", "centinaia": "?100",
                "migliaio": "?1000", "paio": "?2", "coppia": "?2", "secondo": "?2", "seconda": "?2", "primo": "?1",
                "prima": "?1", "terza": "?3", "quarta": "?4", "entrambi": "?2", "entrambe": "?2", "nessuno": "?0",
                "nessuna": "?0",
            },
            cardinal_forms={"un": 1, "una": 1, "un'": 1, "tré": 3, "ventun": 21},
            scale_words={"cento": 2, "mila": 3, "mille": 3, "milione": 6, "milioni": 6, "miliardo": 9, "miliardi": 9},
            percent_words=("per cento", "percento"),
            negative_words=("meno", "negativo", "sotto zero"),
            months=_tuple(
                "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"
            ),
            ordinal_endings=(("o", ("o", "a", "i", "e")),),
            homographs=frozenset({"un", "uno", "una", "sei"}),
            homograph_before=_words(
                "ho hai ha abbiamo avete hanno aveva avevano sono erano i le altri altre con di da per in a ne ogni "
                "circa"
            ),
            function_words=_words(
                "il lo la i gli le di del dello della dei degli delle un uno una e è in che chi per con non si suo "
                "sua suoi sue al allo alla ai agli alle da dal dalla dai nel nella nei sul sulla come più ma o se "
                "ha hanno sono era erano essere avere io tu lui lei noi voi loro mi ti ci vi questo questa questi "
                "queste quello quella quanto quanti quante quanta cosa qual quale quali ogni tutto tutti tutta "
                "tutte ora adesso restano rimangono rimasti totale prezzo costa costano giorno giorni mele anche "
                "molto bene può stesso dopo prima senza sopra perché quando dove allora quindi grazie ciao funzione "
                "lista numero numeri risposta stringa restituisce scrivi compra vende già niente altro altra c'è "
                "anni fa libri penne dollari ore settimana settimane minuti studenti bambini soldi denaro scatola "
                "scatole carte amici uova comprato venduto pagato paga due tre quattro cinque sette otto nove metà "
                "insieme spende guadagna prende bisogno vuole lavora legge somma ciclo ingresso uscita altrimenti "
                "corretto sbagliato certo sì scusa mattina sera domani oggi dovrebbe durante primo ultimo prossimo "
                "nuovo piccolo grande rosso blu verde cane gatto casa scuola penso so volta volte pesa mangia fiori "
                "giardino usa contiene ciascuno ciascuna biglie via buongiorno pagina pagine arance biscotti "
                "figurine treno viaggio dura stampa stampare acqua gente uomo donna insegnante giocatore gioca "
                "ricetta bicchieri raccolto va vero falso mese mesi anno euro veloce passo resto valore variabile "
                "definita punti vale biglietto"
            ),
            length_ratio=1.1,
        ),
        Language(
            code="ja",
            name="Japanese",
            native_name="日本語",
            script="Jpan",
            sacrebleu_tokenizer="ja-mecab",
            decimal_separator=".",
            group_separators=",",
            answer_words=(
                "最終的な答え", "最終回答", "正解", "答え", "答", "解答", "回答", "結果", "合計", "解",
            ),
            answer_phrases=("は", "が", "：", ":"),
            conclusion_words=("したがって", "よって", "ゆえに", "つまり", "だから", "以上より", "結論として"),
            fraction_words={
                "半分": "1/2", "半数": "1/2", "半額": "1/2", "半": "?1/2|30", "倍": "?2", "二倍": "2", "三倍": "3",
                "半ダース": "6",
                "ダース": "?12", "両方": "?2", "二人": "2", "一人": "?1", "一つ": "?1", "ひとつ": "?1",
                "二つ": "2", "ふたつ": "2", "三つ": "3", "みっつ": "3", "四つ": "4", "よっつ": "4", "五つ": "5",
                "いつつ": "5", "六つ": "6", "むっつ": "6", "七つ": "7", "ななつ": "7", "八つ": "8", "やっつ": "8",
                "九つ": "9", "ここのつ": "9", "ふたり": "?2", "ひとり": "?1",
            },
            cardinal_forms={"ゼロ": 0, "零": 0},
            scale_words={"十": 1, "百": 2, "千": 3, "万": 4, "億": 8, "兆": 12},
            percent_words=("パーセント",),
            negative_words=("マイナス", "負の", "氷点下"),
            months=("1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月"),
            function_words=_words("は が を に で と の も へ から まで です ます でした ました ません か"),
            length_ratio=0.5,
        ),
    )
}  # fmt: skip


def get_language(code: str) -> Language:
    """The entry of an ISO 639-1 code.

    Raises:
        InputError: (a ValueError) no such language is registered; the message names the known codes.
    """
    try:
        return LANGUAGES[code]
    except (KeyError, TypeError):
        known = ", ".join(sorted(LANGUAGES))
        raise InputError(f"unknown language {code!r}; known codes: {known}") from None
