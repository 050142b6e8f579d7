"""Mails: in one request, in bulk, one request each; seen at the sink; never sent to people."""

import smtplib
from email.message import EmailMessage

import orjson
import pytest
from misbehaving_server import Reply, Scripted, misbehaving

from scenarios.errors import InputError
from scenarios.library import parse_scenario
from scenarios.model import Operation
from targets.binding import Binding
from targets.call import Call
from targets.control import ControlClient
from targets.inventory import Inventory, TenantInventory
from targets.lookups import MailSeen
from targets.mail_sink import running_sink, tokens_in
from targets.mapping import parse_target

SCENARIO = parse_scenario(
    "name: s\ncohorts: {some: {custom_fields: 0}}\nmix: {send_email: 1}\nload: {rate_per_s: 1}\nduration_s: 1\n",
    "s",
)
(TENANT,) = SCENARIO.tenants
INVENTORY = Inventory(tenants={TENANT.key: TenantInventory(cases=("7",))})
ONE_EACH = """\
name: t
base_url: http://127.0.0.1:1
auth: {header: {name: X-Key, value_env: KEY}}
operations:
  send_email: &mail
    request: {method: POST, path: /mails, body: {to: "{{ mail.to }}", ref: "{{ mail.token }}"}}
  send_batch: *mail
verify: {mails: sink}
"""
BULK = ONE_EACH.replace(
    "  send_batch: *mail\n",
    '  send_batch: {request: {method: POST, path: /bulk, body: {all: "{{ messages }}"}}}\n',
)
TOKEN = "sp-0123456789-0000001"
BATCH = Call(1, TOKEN, TENANT, "7", "", 3)


def bind(text, settings={}):  # noqa: B006  # never changed
    return Binding(parse_target(text, "t.yaml", settings), SCENARIO, INVENTORY, {"KEY": "k"})


def test_a_bulk_is_one_request_with_every_message():
    (request,) = bind(BULK).requests(Operation.SEND_BATCH, BATCH)
    assert [mail["token"] for mail in orjson.loads(request.body)["all"]] == [f"{TOKEN}-{n}" for n in range(3)]


def test_a_batch_that_takes_one_mail_at_a_time_is_as_many_requests():
    binding = bind(ONE_EACH)
    bodies = [orjson.loads(request.body) for request in binding.requests(Operation.SEND_BATCH, BATCH)]
    assert [body["ref"] for body in bodies] == list(binding.mail_tokens(Operation.SEND_BATCH, BATCH))
    assert [body["to"] for body in bodies] == list(binding.mail_recipients(Operation.SEND_BATCH, BATCH))


def test_one_request_of_several_is_never_taken_for_all():
    with pytest.raises(ValueError, match="send_batch takes 3 requests here"):
        bind(ONE_EACH).request(Operation.SEND_BATCH, BATCH)


def test_a_single_mail_is_one_request():
    binding = bind(ONE_EACH)
    assert binding.requests(Operation.SEND_EMAIL, BATCH) == (binding.request(Operation.SEND_EMAIL, BATCH),)


NESTED = BULK.replace(
    '{all: "{{ messages }}"}}}\n',
    '{all: "{{ messages }}"}}, message: {id: "{{ case }}", about: {to: "{{ mail.to }}"}}}\n',
)


def test_a_message_of_a_bulk_may_have_parts_and_name_its_case():
    (request,) = bind(NESTED).requests(Operation.SEND_BATCH, BATCH)
    assert orjson.loads(request.body)["all"][0] == {"id": "7", "about": {"to": "user-1@savepath.test"}}


def test_a_name_that_is_unknown_in_a_part_of_a_message_is_told_with_its_place():
    with pytest.raises(InputError, match=r"t.yaml:7:\d+: operations.send_batch.message.about.to: mail has no too"):
        bind(NESTED.replace('mail.to }}"}}', 'mail.too }}"}}'))


def test_a_batch_that_uses_both_ways_is_a_mistake():
    with pytest.raises(
        InputError, match=r"t.yaml:\d+:\d+: operations.send_batch.request uses both mail and messages"
    ):
        bind(BULK.replace("path: /bulk", 'path: "/bulk/{{ mail.to }}"'))


# -- the sink --------------------------------------------------------------------------------------


def mail(text, subject="x"):
    message = EmailMessage()
    message["Subject"] = subject
    message.set_content(text)
    return message


def deliver(port, message, *recipients):
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.send_message(message, "desk@savepath.test", recipients)


def test_what_arrives_at_the_sink_is_seen_as_often_as_it_came():
    with running_sink() as (port, url):
        binding = bind(ONE_EACH, {"mail_sink": url})
        deliver(port, mail(f"about {TOKEN}-0"), "user-1@savepath.test")
        for _ in range(2):
            deliver(port, mail("x", f"about {TOKEN}-1"), "user-2@savepath.test")
        deliver(port, mail("no token"), "user-3@savepath.test")
        with ControlClient(binding._target) as client:
            request = binding.look_up_mails(TENANT, [f"{TOKEN}-{n}" for n in range(3)])
            response = client.expect(request)
    assert binding.mails_seen(response) == [
        MailSeen(f"{TOKEN}-0", "user-1@savepath.test", 1, None),
        MailSeen(f"{TOKEN}-1", "user-2@savepath.test", 2, None),
    ]
    assert orjson.loads(response.body)["strays"] == 1


def test_the_targets_credentials_and_headers_do_not_go_to_the_sink():
    with misbehaving(elsewhere := Scripted(Reply(200, {"mails": []}))) as url:
        binding = bind(f"headers: {{X-Room: secret room}}\n{ONE_EACH}", {"mail_sink": url})
        with ControlClient(binding._target) as client:
            client.send(binding.look_up_mails(TENANT, [TOKEN]))
    assert {"x-key", "x-room"} & set(elsewhere.asked[0].headers) == set()


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "7bit"])
def test_a_token_is_found_however_the_mail_is_encoded(encoding):
    message = EmailMessage()
    message.set_content(f"{'long text ' * 20}{TOKEN}-12 and more", cte=encoding)
    assert tokens_in(message.as_bytes()) == {f"{TOKEN}-12"}


def test_a_token_is_found_in_any_header():
    assert tokens_in(f"X-Save-Token: {TOKEN}\r\n\r\n".encode()) == {TOKEN}


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe", b"Content-Type: text/plain; charset=nonsense\r\n\r\n\xff", b":\n:"]
)
def test_a_broken_mail_has_no_token_and_does_no_harm(raw):
    assert tokens_in(raw) == frozenset()


# -- recipients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["savepath.test", "a.b.EXAMPLE", "no.invalid"])
def test_mail_goes_to_domains_that_reach_nobody(domain):
    binding = bind(BULK, {"recipient_domain": domain})
    assert binding.mail_recipients(Operation.SEND_EMAIL, BATCH) == (f"user-1@{domain}",)


@pytest.mark.parametrize(
    "domain", ["example.com", "corp.example.com", "test", "test.com", "evil.test.com", "a.com,b@c.test"]
)
def test_mail_to_people_is_refused(domain):
    with pytest.raises(InputError, match=f"--set recipient_domain: mail would go to {domain}, where people may"):
        bind(BULK, {"recipient_domain": domain})


def test_mail_to_people_is_refused_with_its_place_in_the_file():
    with pytest.raises(InputError, match=r"t\.yaml:3:31: recipient_domain: mail would go to corp\.com"):
        bind(BULK.replace("auth:", "variables: {recipient_domain: corp.com}\nauth:"))


def test_a_domain_that_is_listed_is_allowed():
    text = BULK.replace("auth:", 'mail_domains: [load.corp.com, "*.sink.corp.com"]\nauth:')
    bind(text, {"recipient_domain": "load.corp.com"})
    bind(text, {"recipient_domain": "a.sink.corp.com"})
    with pytest.raises(InputError):
        bind(text, {"recipient_domain": "corp.com"})


MAILER = """\
name: t
base_url: http://127.0.0.1:1
variables: {queue: corp.com}
operations:
  send_email:
    request:
      method: POST
      path: /mails
      body: {from: desk@corp.com, to: ["{{ mail.to }}"], bcc: %s}
"""


@pytest.mark.parametrize(
    "written", ["boss@corp.com", "Boss <boss@CORP.com>", "'{{ case }}@corp.com'", "'a@{{ variables.queue }}'"]
)
def test_a_recipient_that_is_written_out_is_refused_with_its_place(written):
    said = r"t\.yaml:9:63: operations\.send_email\.request\.body\.bcc: mail would go to corp\.com, where people"
    with pytest.raises(InputError, match=f"(?i){said}"):
        parse_target(MAILER % written, "t.yaml")


@pytest.mark.parametrize("written", ["copy@savepath.test", "'{{ mail.to }}'", "not an address"])
def test_a_recipient_that_reaches_nobody_may_be_written_out(written):
    parse_target(MAILER % written, "t.yaml")


def test_a_recipient_in_a_domain_that_is_listed_may_be_written_out():
    parse_target(
        (MAILER % "a@load.corp.com").replace("variables:", "mail_domains: [load.corp.com]\nvariables:"), "t"
    )
