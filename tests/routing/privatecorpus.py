"""Made-up secrets and personal data: for every rule texts that hold one, and texts that nearly do.

Values are described by their form alone (`ghp_{A36}`: the prefix, then 36 letters and digits), as their issuers describe
it, and drawn with a seed; nothing here was ever a key. Each stands in a line as people write them.
"""

import random
import re
import string

ALPHABETS = {
    "A": string.ascii_letters + string.digits,
    "L": string.ascii_letters,
    "a": string.ascii_lowercase + string.digits,
    "U": string.ascii_uppercase + string.digits,
    "T": string.ascii_uppercase + "234567",
    "h": "0123456789abcdef",
    "d": "0123456789",
    "D": "123456789",
    "w": string.ascii_letters + string.digits + "_-",
    "b": string.ascii_letters + string.digits + "+/",
}
CARRIERS = (
    "{}",
    "key = {}\n",
    "export KEY={}",
    '{{"value": "{}"}}',
    "用这个：{}，谢谢",
    "see `{}` in the log",
    "a\n{}\nb",
)

SECRETS = {
    "anthropic-key": ["sk-ant-api03-{w93}AA", "sk-ant-admin01-{w93}AA"],
    "openai-key": ["sk-proj-{w74}T3BlbkFJ{w74}", "sk-svcacct-{w60}"],
    "openai-style-key": ["sk-{A48}", "sk-{h32}"],
    "openrouter-key": ["sk-or-v1-{h64}"],
    "groq-key": ["gsk_{A52}"],
    "xai-key": ["xai-{A80}"],
    "perplexity-key": ["pplx-{A48}"],
    "replicate-token": ["r8_{A37}"],
    "huggingface-token": ["hf_{L34}", "api_org_{L34}"],
    "google-key": ["AIza{w35}"],
    "google-client-secret": ["GOCSPX-{w28}"],
    "google-access-token": ["ya29.{w120}"],
    "aws-access-key": ["AKIA{T16}", "ASIA{T16}"],
    "aws-secret-key": ["aws_secret_access_key = {b40}", "AWS secret key: {b40}"],
    "azure-storage-key": ["DefaultEndpointsProtocol=https;AccountName=x;AccountKey={b86}=="],
    "azure-client-secret": ["{A3}8Q~{w34}"],
    "azure-sas": ["https://x.blob.core.windows.net/c?sv=2023&sig={A43}%3D"],
    "alibaba-access-key": ["LTAI{A20}"],
    "tencent-secret-id": ["AKID{A32}"],
    "digitalocean-token": ["dop_v1_{h64}", "doo_v1_{h64}"],
    "heroku-key": ["HRKU-{A60}"],
    "fly-token": ["fm2_{A90}"],
    "netlify-token": ["nfp_{A36}"],
    "supabase-token": ["sbp_{h40}", "sbs_{A34}"],
    "planetscale-token": ["pscale_tkn_{A43}"],
    "databricks-token": ["dapi{h32}"],
    "cloudflare-origin-key": ["v1.0-{h24}-{h146}"],
    "terraform-token": ["{A14}.atlasv1.{w67}"],
    "vault-token": ["hvs.{w95}"],
    "doppler-token": ["dp.pt.{A43}"],
    "pulumi-token": ["pul-{h40}"],
    "tailscale-key": ["tskey-auth-{A12}CNTRL-{A32}"],
    "github-token": ["ghp_{A36}", "gho_{A36}", "ghs_{A36}", "github_pat_{A22}_{A59}"],
    "gitlab-token": ["glpat-{w20}", "gldt-{w20}"],
    "bitbucket-token": ["ATBB{A32}"],
    "atlassian-token": ["ATATT3x{w185}"],
    "npm-token": ["npm_{A36}"],
    "pypi-token": ["pypi-AgEIcHlwaS5vcmc{w80}"],
    "rubygems-key": ["rubygems_{h48}"],
    "crates-token": ["cio{A32}"],
    "docker-token": ["dckr_pat_{w27}"],
    "nuget-key": ["oy2{a43}"],
    "clojars-token": ["CLOJARS_{a60}"],
    "postman-key": ["PMAK-{h24}-{h34}"],
    "sentry-token": ["sntryu_{h64}", "sntrys_{b80}"],
    "grafana-token": ["glsa_{A32}_{h8}", "glc_{b60}"],
    "newrelic-key": ["NRAK-{U27}"],
    "launchdarkly-key": ["sdk-{h8}-{h4}-4{h3}-{h4}-{h12}"],
    "slack-token": ["xoxb-{d12}-{d12}-{A24}", "xoxp-{d12}-{d12}-{d12}-{h32}"],
    "slack-app-token": ["xapp-1-A{U10}-{d13}-{h64}"],
    "slack-webhook": ["https://hooks.slack.com/services/T{U8}/B{U10}/{A24}"],
    "discord-webhook": ["https://discord.com/api/webhooks/{D18}/{w68}"],
    "discord-token": ["M{A23}.{A6}.{w38}"],
    "telegram-token": ["{D9}:AA{w33}"],
    "twilio-key": ["SK{h32}"],
    "sendgrid-key": ["SG.{w22}.{w43}"],
    "mailgun-key": ["key-{h32}"],
    "mailchimp-key": ["{h32}-us12"],
    "brevo-key": ["xkeysib-{h64}-{A16}"],
    "resend-key": ["re_{A8}_{A24}"],
    "stripe-key": ["sk_live_{A24}", "rk_test_{A99}"],
    "stripe-webhook-secret": ["whsec_{A32}"],
    "square-token": ["sq0atp-{w22}", "EAAA{w60}"],
    "shopify-token": ["shpat_{h32}"],
    "facebook-token": ["EAA{A150}"],
    "airtable-token": ["pat{A14}.{h64}"],
    "linear-key": ["lin_api_{A40}"],
    "notion-token": ["ntn_{A46}", "secret_{A43}"],
    "figma-token": ["figd_{w40}"],
    "dropbox-token": ["sl.{w140}"],
    "mapbox-secret-token": ["sk.eyJ{w80}.{w22}"],
    "onepassword-token": ["ops_eyJ{A300}"],
    "age-key": ["AGE-SECRET-KEY-1{U58}"],
    "private-key": [
        "-----BEGIN RSA PRIVATE KEY-----\n{b64}\n{b64}\n{b20}==\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\\n{b64}\\n{b64}\\n-----END OPENSSH PRIVATE KEY-----\\n",
        "-----BEGIN PRIVATE KEY-----\n{b64}\n{b64}",
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{U32}\n\n{b64}\n"
            "-----END RSA PRIVATE KEY-----"
        ),
    ],
    "putty-key": [
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n{b48}\nPrivate-MAC: {h64}\n"
    ],
    "jwt": ["eyJ{w30}.eyJ{w80}.{w43}"],
    "url-password": [
        "postgres://admin:{A14}@db.internal:5432/app",
        "redis://:{A20}@10.0.0.5",
        "https://bob:{A10}@git.corp/x",
    ],
    "basic-auth": ["Authorization: Basic {b28}=="],
    "bearer-token": ["Authorization: Bearer {A40}", "curl -H 'authorization: bearer {A32}'"],
    "assigned-secret": [
        'password = "{A14}"',
        "'api_key': '{A24}'",
        'const clientSecret = "{A30}";',
        "密码：“x”，password: '{A12}'",
        "DB_PASSWORD={A16}",
        "export STRIPE_TOKEN={A20}",
        'SECRET_KEY := "{A32}"',
    ],
}
"""By rule: forms of which it must find one each."""

NEAR_MISSES = [
    "ghp_{A20}",
    "gph_{A36}",
    "AKIA{T10}",
    "AKIAIOSFODNN7EXAMPLE",
    "sk-{A12}",
    "sk-your-api-key-goes-here-please-{A4}",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "hf_{L12}",
    "npm_{A12} install",
    "AIza{w10}",
    "glpat-short",
    "xoxb-not-a-token",
    "-----BEGIN PUBLIC KEY-----\n{b64}\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\n{b64}\n-----END CERTIFICATE-----",
    "eyJ{w5}.{w10}",
    "https://example.com:8080/path@2x",
    "postgres://user:${{DB_PASSWORD}}@host/db",
    "postgres://user:<password>@host/db",
    'password = ""',
    'password = "changeme"',
    'password: "your-password-here"',
    "password = os.environ['DB_PASSWORD']",
    "api_key = get_secret(name)",
    "token_count = 1234567890",
    "max_tokens: 32000",
    'token: "max_tokens"',
    'secret_name = "projects/x/secrets/y"',
    "SECRET_NAME=",
    "TOKEN=$CI_JOB_TOKEN",
    "commit {h40}",
    "sha256:{h64}",
    "{h8}-{h4}-4{h3}-a{h3}-{h12}",
    "integrity sha512-{b86}==",
    "def tokenize(self, secret: str) -> list[str]:",
    "Authorization: Bearer <token>",
    "SK{h20}",
    "key-value store",
    "re_compile_pattern",
    "data:image/png;base64,{b80}",
]


def drawn(form: str, chance: random.Random) -> str:
    """A value of a form: `{A36}` is 36 characters of an alphabet."""
    text = re.sub(
        r"\{([A-Za-z])(\d+)\}",
        lambda part: "".join(chance.choices(ALPHABETS[part[1]], k=int(part[2]))),
        form,
    )
    return text.replace("{{", "{").replace("}}", "}")


def secrets(seed: int = 7, each: int = 6):
    """(rule, text) for every form of every rule."""
    chance = random.Random(seed)  # noqa: S311 - nothing here is to be a secret
    for rule, forms in SECRETS.items():
        for form in forms:
            for number in range(each):
                value = drawn(form, chance)
                bare = rule in {"assigned-secret", "putty-key"} or "\n" in value
                yield rule, value if bare else CARRIERS[number % len(CARRIERS)].format(value)


def near_misses(seed: int = 7, each: int = 6):
    """Texts without a secret."""
    chance = random.Random(seed)  # noqa: S311 - nothing here is to be a secret
    for form in NEAR_MISSES:
        for _ in range(each):
            yield drawn(form, chance)


def luhn(start: str, length: int, chance: random.Random) -> str:
    """A card's number with the right check digit."""
    body = start + "".join(chance.choices("0123456789", k=length - len(start) - 1))
    total = sum(
        sum(divmod(2 * int(digit), 10)) if place % 2 == 0 else int(digit)
        for place, digit in enumerate(reversed(body))
    )
    return body + str(-total % 10)


def resident(chance: random.Random) -> str:
    """A resident identity number with the right check character."""
    born = f"{chance.randint(1950, 2015)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
    body = (
        chance.choice(("110105", "310101", "440306", "510104", "650102"))
        + born
        + f"{chance.randint(0, 999):03}"
    )
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(body))
    return body + "10X98765432"[total % 11]


def iban(country: str, form: str, chance: random.Random) -> str:
    """An account number with the right check digits."""
    rest = drawn(form, chance).upper()
    number = "".join(str(int(char, 36)) for char in f"{rest}{country}00")
    return f"{country}{98 - int(number) % 97:02}{rest}"


def personal(seed: int = 7, each: int = 12):
    """(rule, text) for personal data."""
    chance = random.Random(seed)  # noqa: S311 - nothing here is to be a secret
    for number in range(each):
        carrier = CARRIERS[number % len(CARRIERS)]
        card = luhn(chance.choice(("4", "51", "55", "2221", "6011", "62")), 16, chance)
        account = iban("DE", "{d18}", chance)
        mobile = f"1{chance.randint(3, 9)}{chance.randint(0, 9)}{drawn('{d8}', chance)}"
        rows = {
            "email": [
                f"{drawn('{a8}', chance)}.li@{drawn('{a6}', chance)}.com",
                f"o'brien+{number}@mail.gov.cn",
            ],
            "resident-id": [resident(chance), f"身份证号{resident(chance)}。"],
            "mobile": [
                mobile,
                f"+86 {mobile}",
                f"{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
                f"手机{mobile}找我",
            ],
            "phone": [
                f"+49 30 {drawn('{D7}', chance)}",
                f"+1 (415) {drawn('{D3}', chance)}-{drawn('{D4}', chance)}",
            ],
            "card": [card, " ".join(card[i : i + 4] for i in range(0, 16, 4)), luhn("37", 15, chance)],
            "iban": [
                account,
                " ".join(account[i : i + 4] for i in range(0, 22, 4)),
                iban("GB", "{U4}{d14}".replace("U", "L"), chance),
                iban("NL", "ABNA{d10}", chance),
            ],
        }
        for rule, values in rows.items():
            for value in values:
                yield rule, carrier.format(value)


def wrong_digits(seed: int = 7, each: int = 40):
    """Numbers whose check digit is wrong, and other things that look like personal data."""
    chance = random.Random(seed)  # noqa: S311 - nothing here is to be a secret
    for _ in range(each):
        card, who, account = luhn("4", 16, chance), resident(chance), iban("DE", "{d18}", chance)
        yield card[:-1] + str((int(card[-1]) + 1) % 10)
        yield who[:-1] + ("0" if who[-1] != "0" else "1")
        yield account[:2] + f"{(int(account[2:4]) + 1) % 100:02}" + account[4:]
        yield f"id={drawn('{D13}', chance)}"
    yield from (
        *(
            "icon@2x.png",
            "user@example.com",
            "git@github.com:a/b.git",
            "noreply@github.com",
            "a@b",
            "@decorator.name",
        ),
        *(
            "1700000000",
            "12800000000",
            "13800000000",
            "v1.2.3.4",
            "2024-11-24 10:00:00",
            "0x1F2E3D4C",
            "+1",
            "x+123456",
        ),
        *(
            "9999 9999 9999 9999",
            "4444444444444444",
            "3.14159265358979",
            "ISBN 978-3-16-148410-0",
            "123456789012345678",
        ),
    )
