"""Money: an integer of minor units and a lower-case ISO 4217 code. No floats, anywhere.

Units:   minor units of the currency (cents, or the unit itself where the currency has none).
Errors:  pydantic's, worded for a person.
Source:  ISO 4217 list one (January 2026): the currencies of countries. Funds codes (bov, che, chw, clf, cou, mxv,
         usn, uyi, uyw),
         metals, units of account and test codes are no money; of the X codes only xaf, xcd, xof and xpf are.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

AMOUNT_MIN: Final = 1
AMOUNT_MAX: Final = 999_999_999_999  # twelve digits: far below 2^53, so every JSON reader holds it exactly

CURRENCIES: Final = frozenset(
    """
    aed afn all amd aoa ars aud awg azn bam bbd bdt bhd bif bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf
    clp cny cop crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gnf gtq gyd hkd
    hnl htg huf idr ils inr iqd irr isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd kzt lak lbp lkr lrd lsl
    lyd mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php
    pkr pln pyg qar ron rsd rub rwf sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc syp szl thb tjs tmt
    tnd top try ttd twd tzs uah ugx usd uyu uzs ved ves vnd vuv wst xaf xcd xof xpf yer zar zmw zwg
    """.split()
)


def _known(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be a lower-case ISO 4217 code of an active currency, such as usd")
    return code


Amount = Annotated[int, Field(strict=True, ge=AMOUNT_MIN, le=AMOUNT_MAX)]
Total = Annotated[
    int, Field(strict=True, ge=0, le=AMOUNT_MAX)
]  # of one charge: what has moved so far, nothing included
Currency = Annotated[str, Field(strict=True, json_schema_extra={"enum": sorted(CURRENCIES)}), AfterValidator(_known)]
