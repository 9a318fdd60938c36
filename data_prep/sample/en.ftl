# English: prompts, chains of thought and answers of the built-in sample.

## Math, one step

buy-more =
    .prompt = { $name } has { QUANTITY($item, $a) } and buys { $b } more. How many { NOUN($item) } does { $name } have now?
    .chain =
        { $name } starts with { QUANTITY($item, $a) } and gets { $b } more.
        { $a } + { $b } = { $r }
    .answer = { $name } now has { QUANTITY($item, $r) }.
give-away =
    .prompt = { $name } has { QUANTITY($item, $a) } and gives { $b } of them to a friend. How many { NOUN($item) } does { $name } have left?
    .chain =
        { $name } starts with { QUANTITY($item, $a) } and gives away { $b }.
        { $a } - { $b } = { $r }
    .answer = { $name } has { QUANTITY($item, $r) } left.
boxes =
    .prompt = There are { $a } boxes with { QUANTITY($item, $b) } in each box. How many { NOUN($item) } are there altogether?
    .chain =
        Each of the { $a } boxes holds { QUANTITY($item, $b) }.
        { $a } * { $b } = { $r }
    .answer = There are { QUANTITY($item, $r) } altogether.
share =
    .prompt = { $name } shares { QUANTITY($item, $a) } equally among { $b } children. How many { NOUN($item) } does each child get?
    .chain =
        { $a } { NOUN($item) } are split among { $b } children.
        { $a } / { $b } = { $r }
    .answer = Each child gets { QUANTITY($item, $r) }.
age =
    .prompt = { $name } is { $a } years old and { $other } is { $b } years old. How many years older is { $name } than { $other }?
    .chain =
        { $name } is { $a } and { $other } is { $b }.
        { $a } - { $b } = { $r }
    .answer = { $name } is { $r } years older than { $other }.
printer =
    .prompt = A printer prints { $a } pages in one minute. How many pages does it print in { $b } minutes?
    .chain =
        The printer prints { $a } pages in each of { $b } minutes.
        { $a } * { $b } = { $r }
    .answer = The printer prints { $r } pages.
tickets =
    .prompt = A ticket costs { $a } dollars. How many dollars do { $b } tickets cost?
    .chain =
        Each of the { $b } tickets costs { $a } dollars.
        { $b } * { $a } = { $r }
    .answer = The tickets cost { $r } dollars.
bus =
    .prompt = There are { $a } people on a bus. At the next stop { $b } people get off. How many people are still on the bus?
    .chain =
        { $a } people are on the bus and { $b } get off.
        { $a } - { $b } = { $r }
    .answer = There are still { $r } people on the bus.
bottles =
    .prompt = A bottle holds { $a } liters of water. How many liters of water do { $b } bottles hold?
    .chain =
        Each of the { $b } bottles holds { $a } liters.
        { $b } * { $a } = { $r }
    .answer = The bottles hold { $r } liters of water.
ribbons =
    .prompt = A ribbon is { $a } meters long. How many meters long are { $b } ribbons together?
    .chain =
        Each of the { $b } ribbons is { $a } meters long.
        { $b } * { $a } = { $r }
    .answer = The ribbons are { $r } meters long together.
pages =
    .prompt = { $name } read { $a } pages on Monday and { $b } pages on Tuesday. How many pages did { $name } read on both days?
    .chain =
        { $name } read { $a } pages and then { $b } pages.
        { $a } + { $b } = { $r }
    .answer = { $name } read { $r } pages on both days.

## Math, two steps

buy-and-give =
    .prompt = { $name } has { QUANTITY($item, $a) }, buys { $b } more and then gives { $c } away. How many { NOUN($item) } does { $name } have in the end?
    .chain =
        { $name } starts with { $a }, gets { $b } and gives away { $c }.
        { $a } + { $b } = { $s }
        { $s } - { $c } = { $r }
    .answer = In the end { $name } has { QUANTITY($item, $r) }.
bags-and-loose =
    .prompt = { $name } has { $a } bags with { QUANTITY($item, $b) } in each bag and { $c } more on the table. How many { NOUN($item) } does { $name } have in total?
    .chain =
        The { $a } bags hold { $b } each, and { $c } are on the table.
        { $a } * { $b } = { $s }
        { $s } + { $c } = { $r }
    .answer = { $name } has { QUANTITY($item, $r) } in total.
change =
    .prompt = { $name } buys { $a } cakes at { $b } dollars each and pays with { $c } dollars. How many dollars does { $name } get back?
    .chain =
        The { $a } cakes cost { $b } dollars each, and { $name } pays { $c }.
        { $a } * { $b } = { $s }
        { $c } - { $s } = { $r }
    .answer = { $name } gets { $r } dollars back.
twice-as-many =
    .prompt = { $name } collected { QUANTITY($item, $a) } yesterday and twice as many today. How many { NOUN($item) } did { $name } collect in total?
    .chain =
        Today it was twice { $a }, yesterday { $a }.
        2 * { $a } = { $s }
        { $s } + { $a } = { $r }
    .answer = { $name } collected { QUANTITY($item, $r) } in total.
together =
    .prompt = { $name } has { QUANTITY($item, $a) }. { $other } has { $b } more than { $name }. How many { NOUN($item) } do they have together?
    .chain =
        { $name } has { $a }, and { $other } has { $b } more.
        { $a } + { $b } = { $s }
        { $s } + { $a } = { $r }
    .answer = Together they have { QUANTITY($item, $r) }.
wages =
    .prompt = { $name } earns { $a } dollars an hour and works { $b } hours. Then { $name } spends { $c } dollars. How many dollars are left?
    .chain =
        { $name } earns { $a } dollars in each of { $b } hours and spends { $c }.
        { $a } * { $b } = { $s }
        { $s } - { $c } = { $r }
    .answer = { $name } has { $r } dollars left.
garden =
    .prompt = A garden has { $a } rows with { $b } trees each. The gardener cuts down { $c } trees. How many trees are left in the garden?
    .chain =
        There are { $a } rows of { $b } trees, and { $c } are cut down.
        { $a } * { $b } = { $s }
        { $s } - { $c } = { $r }
    .answer = There are { $r } trees left in the garden.
groups =
    .prompt = A class has { $a } girls and { $b } boys. They form groups of { $c } children. How many groups are there?
    .chain =
        There are { $a } girls and { $b } boys in groups of { $c }.
        { $a } + { $b } = { $s }
        { $s } / { $c } = { $r }
    .answer = There are { $r } groups of children.
trip =
    .prompt = { $name } walks { $a } minutes to the station, rides the train for { $b } minutes and then walks { $c } more minutes. How many minutes does the trip take?
    .chain =
        The parts take { $a }, { $b } and { $c } minutes.
        { $a } + { $b } = { $s }
        { $s } + { $c } = { $r }
    .answer = The trip takes { $r } minutes.
share-the-rest =
    .prompt = { $name } has { QUANTITY($item, $a) }, keeps { $b } of them and shares the rest equally among { $c } friends. How many { NOUN($item) } does each friend get?
    .chain =
        { $name } keeps { $b } of { $a } and splits the rest among { $c }.
        { $a } - { $b } = { $s }
        { $s } / { $c } = { $r }
    .answer = Each friend gets { QUANTITY($item, $r) }.

## Math, held out of training

baker =
    .prompt = A baker has { $a } eggs and uses { $b } of them for a cake. How many eggs does the baker have left?
    .chain =
        The baker starts with { $a } eggs and uses { $b }.
        { $a } - { $b } = { $r }
    .answer = The baker has { $r } eggs left.
farm =
    .prompt = There are { $a } cows and { $b } sheep on a farm. How many animals are there on the farm?
    .chain =
        The farm has { $a } cows and { $b } sheep.
        { $a } + { $b } = { $r }
    .answer = There are { $r } animals on the farm.
hotel =
    .prompt = A hotel has { $a } floors with { $b } rooms each. { $c } rooms are taken. How many rooms are still free?
    .chain =
        The { $a } floors have { $b } rooms each, and { $c } are taken.
        { $a } * { $b } = { $s }
        { $s } - { $c } = { $r }
    .answer = There are still { $r } free rooms in the hotel.
school-shopping =
    .prompt = { $name } buys { $a } pens at { $b } dollars each and a bag for { $c } dollars. How many dollars does { $name } pay in total?
    .chain =
        The { $a } pens cost { $b } dollars each, and the bag costs { $c }.
        { $a } * { $b } = { $s }
        { $s } + { $c } = { $r }
    .answer = { $name } pays { $r } dollars in total.

## Code

add-function =
    .prompt = Write a Python function `add_{ $a }` that adds { $a } to its argument.
    .chain = The function takes x and returns x + { $a }.
    .answer = The function adds { $a } to its argument:
    .code =
        def add_{ $a }(x):
            return x + { $a }
multiply-function =
    .prompt = Write a Python function `times_{ $a }` that multiplies its argument by { $a }.
    .chain = The function takes x and returns x * { $a }.
    .answer = The function multiplies its argument by { $a }:
    .code =
        def times_{ $a }(x):
            return x * { $a }
print-loop =
    .prompt = Write a Python loop that prints the word `{ $word }` { $a } times.
    .chain = A for loop over range({ $a }) repeats the print.
    .answer = The loop prints the word `{ $word }` { $a } times:
    .code =
        for i in range({ $a }):
            print("{ $word }")
first-numbers =
    .prompt = Write a line of Python that creates a list with the numbers from { $a } to { $b }.
    .chain = The end of range is exclusive, so it is { $b } + 1 = { $r }.
    .answer = This line creates the list with the numbers from { $a } to { $b }:
    .code = numbers = list(range({ $a }, { $r }))

## Chat

capital =
    .prompt = What is the capital of { WORD($country, form: "of") }?
    .chain = The capital of { WORD($country, form: "of") } is { WORD($country, form: "capital") }.
    .answer = The capital of { WORD($country, form: "of") } is { WORD($country, form: "capital") }.
next-day =
    .prompt = Which day of the week comes after { WORD($day) }?
    .chain = The days are in order, and { WORD($next) } follows { WORD($day) }.
    .answer = The day after { WORD($day) } is { WORD($next) }.
next-month =
    .prompt = Which month of the year comes after { WORD($month) }?
    .chain = The months are in order, and { WORD($next) } follows { WORD($month) }.
    .answer = The month after { WORD($month) } is { WORD($next) }.
thanks =
    .prompt = Hello, my name is { $name }. Can you help me with my { WORD($subject) } homework?
    .chain = { $name } wants help with { WORD($subject) }, so I offer it.
    .answer = Of course, { $name }! I am happy to help you with your { WORD($subject) } homework.
