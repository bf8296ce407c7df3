"""How secrets look: one row for each kind of key, token or password.

Sources are the issuers' own pages on the form of their tokens, and the public rule sets of gitleaks and secretlint (MIT)
for what they are called; the patterns are our own. They are written for RE2 (https://github.com/google/re2/wiki/Syntax),
which takes time in proportion to the text whatever the pattern is, and knows neither look-around nor back-references.

A group, where there is one, is the secret itself; else all of the match is. `bits` is how random it must look, in bits a
character: a documentation's "ghp_xxxx..." is no secret.
"""

from typing import NamedTuple

KEY_WORDS = (
    r"passw(?:or)?d|passwd|passphrase|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|auth[_-]?key|account[_-]?key"
    r"|private[_-]?key|signing[_-]?key|encryption[_-]?key|client[_-]?key|credentials?|密码|口令|密钥"
)


class Rule(NamedTuple):
    """One kind of secret.

    Attributes:
        name: what it is called in findings and placeholders.
        pattern: RE2.
        bits: least entropy of the secret, in bits a character.
        mixed: whether it must be more than a name: have a digit, or capitals among small letters.
    """

    name: str
    pattern: str
    bits: float = 2.5
    mixed: bool = False


RULES = (
    # models
    Rule("anthropic-key", r"\bsk-ant-[a-z]{3,8}\d{2}-[\w-]{60,140}"),
    Rule("openai-key", r"\bsk-(?:proj|svcacct|admin|None)-[\w-]{40,220}"),
    Rule("openai-style-key", r"\bsk-[A-Za-z0-9]{32,64}\b"),
    Rule("openrouter-key", r"\bsk-or-v1-[0-9a-f]{64}\b"),
    Rule("groq-key", r"\bgsk_[A-Za-z0-9]{52}\b"),
    Rule("xai-key", r"\bxai-[A-Za-z0-9]{80}\b"),
    Rule("perplexity-key", r"\bpplx-[A-Za-z0-9]{40,56}\b"),
    Rule("replicate-token", r"\br8_[A-Za-z0-9]{37}\b"),
    Rule("huggingface-token", r"\b(?:hf_|api_org_)[A-Za-z0-9]{34}\b"),
    Rule("google-key", r"\bAIza[\w-]{35}"),
    # clouds
    Rule("google-client-secret", r"\bGOCSPX-[\w-]{28}"),
    Rule("google-access-token", r"\bya29\.[\w-]{30,400}"),
    Rule("aws-access-key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    Rule(
        "aws-secret-key",
        r"(?i)aws[\w .-]{0,24}(?:secret|key)[\w .\"'-]{0,24}[=:>]\s*[\"']?([A-Za-z0-9/+]{40})\b",
        3.5,
    ),
    Rule("azure-storage-key", r"(?i)(?:Account|Shared(?:Access)?)Key=([A-Za-z0-9+/]{42,86}={1,2})"),
    Rule("azure-client-secret", r"\b[\w~.-]{3}\dQ~[\w~.-]{31,34}", 3.0),
    Rule("azure-sas", r"[?&]sig=([A-Za-z0-9%+/]{40,80}(?:%3D|=))"),
    Rule("alibaba-access-key", r"\bLTAI[A-Za-z0-9]{12,24}\b"),
    Rule("tencent-secret-id", r"\bAKID[A-Za-z0-9]{32}\b"),
    Rule("digitalocean-token", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    Rule("heroku-key", r"\bHRKU-[\w-]{36,64}"),
    Rule("fly-token", r"\bfm[12][ar]?_[A-Za-z0-9+/=_-]{60,600}"),
    Rule("netlify-token", r"\bnfp_[A-Za-z0-9]{36}\b"),
    Rule("supabase-token", r"\bsb[ps]_(?:secret_)?[A-Za-z0-9_]{30,64}"),
    Rule("planetscale-token", r"\bpscale_(?:tkn|pw|oauth)_[\w.-]{32,64}"),
    Rule("databricks-token", r"\bdapi[0-9a-f]{32}(?:-\d)?\b"),
    Rule("cloudflare-origin-key", r"\bv1\.0-[0-9a-f]{24}-[0-9a-f]{146}\b"),
    Rule("terraform-token", r"\b[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,90}"),
    Rule("vault-token", r"\bhv[sbr]\.[\w-]{24,300}"),
    Rule("doppler-token", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?[A-Za-z0-9]{40,44}\b"),
    Rule("pulumi-token", r"\bpul-[0-9a-f]{40}\b"),
    Rule("tailscale-key", r"\btskey-[a-z]{2,12}-[A-Za-z0-9]{5,24}-[A-Za-z0-9]{10,64}"),
    # code and packages
    Rule("github-token", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
    Rule("github-token", r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b"),
    Rule("gitlab-token", r"\bgl(?:pat|ptt|dt|rt|soat|ft|imt|agent|cbt)-[\w.-]{20,120}"),
    Rule("bitbucket-token", r"\bATBB[A-Za-z0-9]{28,40}\b"),
    Rule("atlassian-token", r"\bATATT3[\w=-]{100,240}"),
    Rule("npm-token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    Rule("pypi-token", r"\bpypi-AgE[\w-]{50,400}"),
    Rule("rubygems-key", r"\brubygems_[0-9a-f]{48}\b"),
    Rule("crates-token", r"\bcio[A-Za-z0-9]{32}\b", 3.0),
    Rule("docker-token", r"\bdckr_(?:pat|oat)_[\w-]{27,48}"),
    Rule("nuget-key", r"\boy2[a-z0-9]{43}\b"),
    Rule("clojars-token", r"\bCLOJARS_[a-z0-9]{60}\b"),
    Rule("postman-key", r"\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b"),
    Rule("sentry-token", r"\bsntry[us]_[A-Za-z0-9_=+/-]{60,300}"),
    Rule("grafana-token", r"\bgl(?:c|sa)_[A-Za-z0-9+/_=]{40,400}"),
    Rule("newrelic-key", r"\bNRAK-[A-Z0-9]{27}\b"),
    Rule(
        "launchdarkly-key", r"\b(?:sdk|api)-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    ),
    # messages and mail
    Rule("slack-token", r"\bxox[abeoprs]-(?:\d-)?[A-Za-z0-9-]{20,250}"),
    Rule("slack-app-token", r"\bxapp-\d-[A-Z0-9]{8,14}-\d{8,16}-[0-9a-f]{40,80}"),
    Rule(
        "slack-webhook",
        r"hooks\.slack\.com/(?:services|workflows)/(T[A-Z0-9]{6,14}/[A-Z0-9]{6,14}/[A-Za-z0-9/]{20,80})",
    ),
    Rule("discord-webhook", r"discord(?:app)?\.com/api/webhooks/(\d{15,21}/[\w-]{60,80})"),
    Rule("discord-token", r"\b[MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,40}", 3.5),
    Rule("telegram-token", r"\b\d{8,10}:AA[\w-]{33}"),
    Rule("twilio-key", r"\bSK[0-9a-f]{32}\b"),
    Rule("sendgrid-key", r"\bSG\.[\w-]{20,24}\.[\w-]{39,50}"),
    Rule("mailgun-key", r"\bkey-[0-9a-f]{32}\b"),
    Rule("mailchimp-key", r"\b[0-9a-f]{32}-us\d{1,2}\b"),
    Rule("brevo-key", r"\bxkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}\b"),
    Rule("resend-key", r"\bre_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}\b"),
    # money and offices
    Rule("stripe-key", r"\b[sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,250}\b"),
    Rule("stripe-webhook-secret", r"\bwhsec_[A-Za-z0-9+/=]{32,80}"),
    Rule("square-token", r"\b(?:sq0(?:atp|csp|idp)-[\w-]{22,43}|EAAA[\w-]{60})"),
    Rule("shopify-token", r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b"),
    Rule("facebook-token", r"\bEAA[A-Za-z0-9]{90,250}\b"),
    Rule("airtable-token", r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b"),
    Rule("linear-key", r"\blin_(?:api|oauth)_[A-Za-z0-9]{32,64}\b"),
    Rule("notion-token", r"\b(?:ntn_[A-Za-z0-9]{40,50}|secret_[A-Za-z0-9]{43})\b"),
    Rule("figma-token", r"\bfig[dour]_[\w-]{36,50}"),
    Rule("dropbox-token", r"\bsl\.(?:u\.)?[\w-]{120,1000}"),
    Rule("mapbox-secret-token", r"\bsk\.eyJ[\w-]{40,200}\.[\w-]{20,40}"),
    Rule("onepassword-token", r"\bops_eyJ[A-Za-z0-9+/=_-]{200,1000}"),
    Rule("age-key", r"\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b"),
    # forms that are no issuer's
    Rule(
        "private-key",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[A-Za-z0-9+/=\s\\:,.()-]*-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]*)",
        0.0,
    ),
    Rule("putty-key", r"PuTTY-User-Key-File-\d: [^\0]{20,1000}?Private-MAC: [0-9a-f]{40,64}", 0.0),
    Rule("jwt", r"\beyJ[\w-]{8,900}\.eyJ[\w-]{8,1000}\.[\w-]{16,900}"),
    Rule(
        "url-password",
        r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@\"'<>]{0,64}:([^\s/@\"'{}$<>]{4,128})@[\w.\[-]",
        2.0,
    ),
    Rule(
        "basic-auth", r"(?i)\bauthorization[\"']?\s*[:=,]\s*[\"']?basic\s+([A-Za-z0-9+/]{12,200}={0,2})", 2.8
    ),
    Rule("bearer-token", r"(?i)\bbearer\s+([A-Za-z0-9._~+/-]{20,500}=*)", 3.2),
    Rule(
        "assigned-secret",
        rf"(?i)(?:{KEY_WORDS})[\w.-]{{0,24}}[\"'\]]{{0,2}}\s{{0,4}}(?::=|=>|=|:|：)\s{{0,4}}(?:[a-z]{{1,2}})?[\"'`]"
        r"([^\s\"'`<>{}$]{8,160})[\"'`]",
        3.0,
        mixed=True,
    ),
    Rule(
        "assigned-secret",
        r"(?m)^\s*(?:export |set |ENV )?[A-Z0-9_]{0,48}(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)"
        r"[A-Z0-9_]{0,24}=([^\s\"'`#$<>{}()]{8,160})\s*$",
        3.0,
        mixed=True,
    ),
)

STAND_INS = (
    *(
        "example",
        "your",
        "xxxx",
        "changeme",
        "change-me",
        "change_me",
        "placeholder",
        "dummy",
        "redacted",
        "insert",
    ),
    *(
        "replace",
        "notreal",
        "not-real",
        "fake",
        "<",
        "****",
        "....",
        "12345678",
        "abcdefgh",
        "lorem",
        "foobar",
        "todo",
    ),
)
"""Words by which documentation says that a value is none."""
