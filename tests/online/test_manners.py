"""How the web is asked."""

import ssl

from understudy import __version__
from understudy.config import WebSettings
from understudy.online.addresses import resolved
from understudy.online.manners import Manners


def test_they_are_those_of_the_settings():
    manners = Manners(WebSettings(seconds=3.0, page_limit="2KB", private_hosts=("wiki.home",)), str)
    assert (manners.seconds, manners.limit, manners.trusted) == (3.0, 2048, {"wiki.home"})
    assert manners.agent == f"understudy/{__version__}"
    assert manners.resolve is resolved


def test_certificates_are_looked_at():
    manners = Manners(WebSettings(), str)
    assert manners.ssl.verify_mode is ssl.CERT_REQUIRED
    assert manners.ssl.check_hostname
    assert manners.ssl is manners.ssl
