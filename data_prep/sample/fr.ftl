# Français : questions et réponses de l'échantillon intégré.

buy-more =
    .prompt = { $name } a { QUANTITY($item, $a) } et en achète { $b } de plus. Combien { NOUN($item, form: "of") } a { $name } maintenant ?
    .answer = { $name } a maintenant { QUANTITY($item, $r) }.
give-away =
    .prompt = { $name } a { QUANTITY($item, $a) } et en donne { $b } à un ami. Combien { NOUN($item, form: "of") } reste-t-il à { $name } ?
    .answer = Il reste { QUANTITY($item, $r) } à { $name }.
boxes =
    .prompt = Il y a { $a } boîtes contenant chacune { QUANTITY($item, $b) }. Combien { NOUN($item, form: "of") } y a-t-il en tout ?
    .answer = Il y a { QUANTITY($item, $r) } en tout.
share =
    .prompt = { $name } partage { QUANTITY($item, $a) } équitablement entre { $b } enfants. Combien { NOUN($item, form: "of") } chaque enfant reçoit-il ?
    .answer = Chaque enfant reçoit { QUANTITY($item, $r) }.
age =
    .prompt = { $name } a { $a } ans et { $other } a { $b } ans. Combien d'années de plus a { $name } par rapport à { $other } ?
    .answer = { $name } a { $r } ans de plus que { $other }.
printer =
    .prompt = Une imprimante imprime { $a } pages en une minute. Combien de pages imprime-t-elle en { $b } minutes ?
    .answer = L'imprimante imprime { $r } pages.
tickets =
    .prompt = Un billet coûte { $a } dollars. Combien de dollars coûtent { $b } billets ?
    .answer = Les billets coûtent { $r } dollars.
bus =
    .prompt = Il y a { $a } personnes dans un bus. Au prochain arrêt, { $b } personnes descendent. Combien de personnes sont encore dans le bus ?
    .answer = Il y a encore { $r } personnes dans le bus.
bottles =
    .prompt = Une bouteille contient { $a } { $a ->
            [one] litre
           *[other] litres
        } d'eau. Combien de litres d'eau contiennent { $b } bouteilles ?
    .answer = Les bouteilles contiennent { $r } { $r ->
            [one] litre
           *[other] litres
        } d'eau.
ribbons =
    .prompt = Un ruban mesure { $a } { $a ->
            [one] mètre
           *[other] mètres
        } de long. Combien de mètres mesurent { $b } rubans mis bout à bout ?
    .answer = Mis bout à bout, les rubans mesurent { $r } { $r ->
            [one] mètre
           *[other] mètres
        }.
pages =
    .prompt = { $name } a lu { $a } pages lundi et { $b } pages mardi. Combien de pages { $name } a lues pendant ces deux jours ?
    .answer = { $name } a lu { $r } pages pendant ces deux jours.
buy-and-give =
    .prompt = { $name } a { QUANTITY($item, $a) }, en achète { $b } de plus puis en donne { $c }. Combien { NOUN($item, form: "of") } a { $name } à la fin ?
    .answer = À la fin, { $name } a { QUANTITY($item, $r) }.
bags-and-loose =
    .prompt = { $name } a { $a } sacs contenant chacun { QUANTITY($item, $b) } et { $c } de plus sur la table. Combien { NOUN($item, form: "of") } a { $name } au total ?
    .answer = { $name } a { QUANTITY($item, $r) } au total.
change =
    .prompt = { $name } achète { $a } gâteaux à { $b } dollars chacun et paie avec { $c } dollars. Combien de dollars rend-on à { $name } ?
    .answer = On rend { $r } dollars à { $name }.
twice-as-many =
    .prompt = { $name } a collecté { QUANTITY($item, $a) } hier et deux fois plus aujourd'hui. Combien { NOUN($item, form: "of") } cela fait-il au total ?
    .answer = { $name } a collecté { QUANTITY($item, $r) } au total.
together =
    .prompt = { $name } a { QUANTITY($item, $a) }. { $other } en a { $b } de plus que { $name }. Combien { NOUN($item, form: "of") } cela fait-il en tout ?
    .answer = Cela fait { QUANTITY($item, $r) } en tout.
wages =
    .prompt = { $name } gagne { $a } dollars de l'heure et travaille { $b } heures. Ensuite, { $name } dépense { $c } dollars. Combien de dollars reste-t-il ?
    .answer = Il reste { $r } dollars à { $name }.
garden =
    .prompt = Un jardin compte { $a } rangées de { $b } arbres chacune. Le jardinier abat { $c } arbres. Combien d'arbres reste-t-il dans le jardin ?
    .answer = Il reste { $r } arbres dans le jardin.
groups =
    .prompt = Une classe compte { $a } filles et { $b } garçons. Ils forment des groupes de { $c } enfants. Combien de groupes y a-t-il ?
    .answer = Il y a { $r } groupes d'enfants.
trip =
    .prompt = { $name } marche { $a } minutes jusqu'à la gare, prend le train pendant { $b } minutes puis marche encore { $c } minutes. Combien de minutes dure le trajet ?
    .answer = Le trajet dure { $r } minutes.
share-the-rest =
    .prompt = { $name } a { QUANTITY($item, $a) }, en garde { $b } et partage le reste équitablement entre { $c } amis. Combien { NOUN($item, form: "of") } chaque ami reçoit-il ?
    .answer = Chaque ami reçoit { QUANTITY($item, $r) }.
baker =
    .prompt = Un boulanger a { $a } œufs et en utilise { $b } pour un gâteau. Combien d'œufs reste-t-il au boulanger ?
    .answer = Il reste { $r } œufs au boulanger.
farm =
    .prompt = Il y a { $a } vaches et { $b } moutons dans une ferme. Combien d'animaux y a-t-il dans la ferme ?
    .answer = Il y a { $r } animaux dans la ferme.
hotel =
    .prompt = Un hôtel a { $a } étages de { $b } chambres chacun. { $c } chambres sont occupées. Combien de chambres sont encore libres ?
    .answer = Il y a encore { $r } chambres libres dans l'hôtel.
school-shopping =
    .prompt = { $name } achète { $a } stylos à { $b } dollars chacun et un sac à { $c } dollars. Combien de dollars { $name } paie au total ?
    .answer = { $name } paie { $r } dollars au total.
add-function =
    .prompt = Écris une fonction Python `add_{ $a }` qui ajoute { $a } à son argument.
    .answer = La fonction ajoute { $a } à son argument :
multiply-function =
    .prompt = Écris une fonction Python `times_{ $a }` qui multiplie son argument par { $a }.
    .answer = La fonction multiplie son argument par { $a } :
print-loop =
    .prompt = Écris une boucle Python qui affiche { $a } fois le mot `{ $word }`.
    .answer = La boucle affiche { $a } fois le mot `{ $word }` :
first-numbers =
    .prompt = Écris une ligne de Python qui crée une liste avec les nombres de { $a } à { $b }.
    .answer = Cette ligne crée la liste avec les nombres de { $a } à { $b } :
capital =
    .prompt = Quelle est la capitale { WORD($country, form: "of") } ?
    .answer = La capitale { WORD($country, form: "of") } est { WORD($country, form: "capital") }.
next-day =
    .prompt = Quel jour de la semaine vient après { WORD($day) } ?
    .answer = Le jour après { WORD($day) } est { WORD($next) }.
next-month =
    .prompt = Quel mois de l'année vient après { WORD($month) } ?
    .answer = Le mois après { WORD($month) } est { WORD($next) }.
thanks =
    .prompt = Bonjour, je m'appelle { $name }. Peux-tu m'aider à faire mes devoirs { WORD($subject, form: "of") } ?
    .answer = Bien sûr, { $name } ! Je t'aide volontiers à faire tes devoirs { WORD($subject, form: "of") }.
