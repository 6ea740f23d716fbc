"""Which phone numbers are of the United States: they share the code 1 with Canada and many islands."""

from __future__ import annotations

from typing import Final

_CANADA: Final = (
    "204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 387 403 416 418 428 431 437 438 450 460 468 474 506 "
    "514 519 537 548 568 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 "
    "902 905 942"
)
_ISLANDS: Final = (  # those of the United States among them: they are countries of their own in numbering
    "242 246 264 268 284 340 345 441 473 649 658 664 670 671 684 721 758 767 784 787 809 829 849 868 869 876 939"
)
_NOWHERE: Final = "500 521 522 523 524 525 526 527 528 529 533 544 555 566 577 588 600 622 633 700 710 900"
_ELSEWHERE: Final = frozenset(f"{_CANADA} {_ISLANDS} {_NOWHERE}".split())


def is_us(phone: str) -> bool:
    """Whether ``phone``, digits with the code of the country, has an area code of the United States.

    555 is nobody's, so that the numbers of examples and tests are not of the United States.
    """
    return len(phone) == 11 and phone[0] == "1" and phone[1] not in "01" and phone[1:4] not in _ELSEWHERE
