"""Hats and glasses as SVG, drawn to fit the head of the toon style (canvas 768 wide, eyes at y = 405)."""

from sandbox.painting.person import Person

_INK = 'stroke="#1c1414" stroke-opacity=".55" stroke-width="2"'


def accessories(person: Person) -> str:
    """SVG elements to draw over the bust."""
    parts = [_GLASSES.get(person.glasses or "", ""), _HEADWEAR.get(person.headwear or "", "")]
    return "".join(parts).replace("TINT", person.headwear_colour).replace("INK", _INK)


_GLASSES = {
    "round": (
        '<g fill="#dff1ff" fill-opacity=".16" stroke="#2a2530" stroke-width="8"><circle cx="300" cy="406" r="61"/><circle cx="470" cy="406" r="61"/></g>'
        '<path d="M361 400Q385 386 409 400M239 398L204 388M531 398L566 388" fill="none" stroke="#2a2530" stroke-width="8" stroke-linecap="round"/>'
        '<path d="M262 384Q272 364 292 360M432 384Q442 364 462 360" fill="none" stroke="#fff" stroke-opacity=".55" stroke-width="7" stroke-linecap="round"/>'
    ),
    "dark": (
        '<g fill="#20242e" stroke="#12141a" stroke-width="6"><path d="M236 372Q300 356 364 376Q370 452 306 462Q240 458 236 372Z"/>'
        '<path d="M534 372Q470 356 406 376Q400 452 464 462Q530 458 534 372Z"/></g>'
        '<path d="M364 384Q385 374 406 384M236 384L204 378M534 384L566 378" fill="none" stroke="#12141a" stroke-width="9" stroke-linecap="round"/>'
        '<path d="M258 388L296 380L272 440ZM430 388L468 380L444 440Z" fill="#fff" fill-opacity=".20"/>'
    ),
}

_HEADWEAR = {
    "explorer": (
        '<path d="M206 250C206 130 250 34 318 40C352 43 366 62 388 62C412 62 424 42 458 44C528 48 566 140 564 250Z" fill="TINT" INK/>'
        '<path d="M206 250C206 130 250 34 318 40C300 80 262 120 256 250Z" fill="#fff" fill-opacity=".10"/>'
        '<path d="M205 214Q385 262 565 214L566 262Q385 302 204 262Z" fill="#33231a"/>'
        '<path d="M84 236Q120 206 206 240Q385 292 564 240Q650 206 686 236Q700 262 640 286Q520 330 385 330Q250 330 130 286Q70 262 84 236Z" fill="TINT" INK/>'
        '<path d="M84 246Q200 322 385 324Q570 322 686 246Q690 266 640 286Q520 330 385 330Q250 330 130 286Q78 266 84 246Z" fill="#000" fill-opacity=".22"/>'
        '<path d="M250 322Q385 356 520 322Q500 352 385 354Q270 352 250 322Z" fill="#000" fill-opacity=".14"/>'
    ),
    "beanie": (
        '<circle cx="385" cy="34" r="44" fill="TINT" INK/><circle cx="372" cy="22" r="26" fill="#fff" fill-opacity=".16"/>'
        '<path d="M186 262C180 120 270 52 385 52C500 52 590 120 584 262Z" fill="TINT" INK/>'
        '<path d="M262 240Q270 120 330 64M385 250V56M508 240Q500 120 440 64" fill="none" stroke="#000" stroke-opacity=".13" stroke-width="7"/>'
        '<path d="M172 244Q385 192 598 244L596 312Q385 262 174 312Z" fill="TINT" INK/>'
        '<path d="M172 244Q385 192 598 244L596 312Q385 262 174 312Z" fill="#fff" fill-opacity=".20"/>'
        '<path d="M226 236L228 298M292 222L294 284M358 216L358 278M424 216L424 278M488 222L486 284M550 236L546 298" stroke="#000" stroke-opacity=".15" stroke-width="6"/>'
    ),
    "wizard": (
        '<path d="M216 258C260 150 300 40 330 -30C352 -76 420 -70 458 -20C430 -30 412 -20 414 10C444 70 528 130 572 258Z" fill="TINT" INK/>'
        '<path d="M216 258C260 150 300 40 330 -30C336 60 300 170 280 264Z" fill="#fff" fill-opacity=".12"/>'
        '<path d="M100 262Q240 218 385 222Q530 218 672 262Q640 312 385 318Q130 312 100 262Z" fill="TINT" INK/>'
        '<path d="M214 238Q385 284 560 238L572 262Q385 310 200 262Z" fill="#d7a53c"/>'
        '<path d="M100 262Q240 300 385 304Q530 300 672 262Q640 312 385 318Q130 312 100 262Z" fill="#000" fill-opacity=".25"/>'
        '<g fill="#ffe08a"><path d="M352 120l8 18 19 2-14 13 4 19-17-10-17 10 4-19-14-13 19-2z"/><circle cx="410" cy="182" r="7"/><circle cx="372" cy="40" r="6"/><circle cx="300" cy="196" r="5"/></g>'
    ),
    "crown": (
        '<path d="M222 214L206 84L286 148L322 52L385 138L448 52L484 148L564 84L548 214Q385 172 222 214Z" fill="TINT" INK/>'
        '<path d="M222 214L206 84L286 148L322 52L340 184Q270 194 222 214Z" fill="#fff" fill-opacity=".20"/>'
        '<path d="M220 190Q385 148 550 190L548 222Q385 180 222 222Z" fill="#b9832a"/>'
        '<circle cx="385" cy="172" r="13" fill="#c22f4a"/><circle cx="300" cy="182" r="9" fill="#2f7fb3"/><circle cx="470" cy="182" r="9" fill="#2f7fb3"/>'
        '<g fill="#fff2c0"><circle cx="206" cy="80" r="11"/><circle cx="322" cy="48" r="11"/><circle cx="448" cy="48" r="11"/><circle cx="564" cy="80" r="11"/></g>'
    ),
    "goggles": (
        '<path d="M184 236Q385 186 586 236L590 284Q385 232 180 284Z" fill="#3a281c"/>'
        '<g fill="TINT" INK><circle cx="306" cy="232" r="66"/><circle cx="464" cy="232" r="66"/></g>'
        '<path d="M362 224Q385 212 408 224L408 246Q385 234 362 246Z" fill="#8d6a3a"/>'
        '<g fill="#7fc4d8" stroke="#c9a45c" stroke-width="9"><circle cx="306" cy="232" r="48"/><circle cx="464" cy="232" r="48"/></g>'
        '<path d="M272 226Q282 198 312 194M430 226Q440 198 470 194" fill="none" stroke="#fff" stroke-opacity=".75" stroke-width="10" stroke-linecap="round"/>'
    ),
    "headphones": (
        '<path d="M176 400C150 60 620 60 594 400" fill="none" stroke="TINT" stroke-width="30"/>'
        '<path d="M184 300C190 110 400 70 480 130" fill="none" stroke="#fff" stroke-opacity=".18" stroke-width="9"/>'
        '<g fill="TINT" INK><rect x="138" y="352" width="66" height="132" rx="30"/><rect x="566" y="352" width="66" height="132" rx="30"/></g>'
        '<g fill="#fff" fill-opacity=".16"><rect x="148" y="364" width="20" height="108" rx="10"/><rect x="576" y="364" width="20" height="108" rx="10"/></g>'
    ),
}
