"""The files of other tools: times to the nanosecond, outcomes, and what is said of a file that is not whole."""

import gzip
import json
from pathlib import Path

import pytest

from savepath.importing.folder import read_files
from savepath.importing.formats import recognise
from savepath.importing.label_map import own_names
from savepath.importing.requests import Request, judge, rfc3339_ns
from scenarios.errors import InputError

HERE = Path(__file__).parent / "imported"
#: 2026-11-25T16:18:01Z
AT_S = 1_795_623_481

JTL = '''\
timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,failureMessage,bytes,sentBytes,\
grpThreads,allThreads,URL,Latency,IdleTime,Connect
1795623481722,250,"save 5 fields, ""big""",200,OK,users 1-1,text,true,,2781,133,1,1,http://127.0.0.1/,249,0,1
1795623482000,12,save,503,Service Unavailable,users 1-1,text,false,,90,133,1,1,http://127.0.0.1/,12,0,0
1795623482100,100,save,Non HTTP response code: java.net.SocketTimeoutException,Non HTTP response message: \
Read timed out,users 1-1,text,false,,90,0,1,1,http://127.0.0.1/,0,0,0
1795623482200,30,save,200,OK,users 1-1,text,false,"Test failed: text expected
to contain /saved/",90,133,1,1,http://127.0.0.1/,12,0,0
'''
JTL_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<testResults version="1.2">
<httpSample t="250" it="0" lt="249" ct="1" ts="1795623481722" s="true" lb="save 5 fields, &quot;big&quot;" \
rc="200" rm="OK" tn="users 1-1" dt="text" by="2781" sby="133" ng="1" na="1">
  <httpSample t="100" ts="1795623481722" s="true" lb="a redirect" rc="302"/>
</httpSample>
<httpSample t="12" ts="1795623482000" s="false" lb="save" rc="503" rm="Service Unavailable" by="90" sby="133"/>
</testResults>
"""


#: How the binary results of vegeta begin: Go's description of the type.
GOB = b"\x8e\xff\x81\x03\x01\x01\x06Result\x01\xff\x82\x00\x01\x0b\x01\x06Attack\x01"


def point(metric, value, time="2026-11-25T16:18:01.722470546Z", **tags):
    told = {"method": "POST", "name": "save", "status": "200", "expected_response": "true", **tags}
    return json.dumps(
        {"metric": metric, "type": "Point", "data": {"time": time, "value": value, "tags": told}},
        separators=(",", ":"),
    )


ONE = point("http_req_duration", 1.0)


def k6(*lines):
    return "\n".join(['{"type":"Metric","data":{"name":"http_reqs"},"metric":"http_reqs"}', *lines]) + "\n"


def requests(tmp_path, tool, content):
    """The requests in a file of that content, and what was said of it."""
    path, said = tmp_path / "results", []
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(recognise(path, tool).requests(path, said.append)), said


def told(tmp_path, tool, content):
    """What a user is told of a file that cannot be imported, without the folder's name."""
    with pytest.raises(InputError) as caught:
        requests(tmp_path, tool, content)
    return str(caught.value).replace(str(tmp_path) + "/", "")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-11-25T16:18:01Z", 0),
        ("2026-11-25T16:18:01.722470546Z", 722_470_546),
        ("2026-11-25T17:18:01.7+01:00", 700_000_000),
        ("2026-11-25T15:48:01.000000001-00:30", 1),
    ],
)
def test_a_moment_keeps_every_nanosecond_and_its_zone(text, ns):
    assert rfc3339_ns(text) == AT_S * 10**9 + ns


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        rfc3339_ns("2026-11-25T16:18:01.5")


@pytest.mark.parametrize(
    ("status", "error", "outcome", "detail"),
    [
        (503, "", "http_error", "http 503"),
        (0, "Non HTTP response code: java.net.SocketTimeoutException", "timeout", "no answer in time"),
        (0, 'Get "http://x": context deadline exceeded (Client.Timeout)', "timeout", "no answer in time"),
        (0, "dial: connection refused", "refused", "connection refused"),
        (0, "[Errno 104] Connection reset by peer", "refused", "connection closed"),
        (0, "", "refused", "no answer"),
        (200, "the body holds no /saved/", "invalid", "assertion failed"),
    ],
)
def test_a_failure_is_named_as_savepath_names_its_own(status, error, outcome, detail):
    assert judge(status, failed=True, error=error) == (outcome, detail)


def test_a_status_that_the_tool_expected_is_good():
    assert judge(404, failed=False) == ("ok", "")


def test_jtl_csv_counts_from_the_start_in_milliseconds(tmp_path):
    found, _ = requests(tmp_path, "jtl", JTL)
    first = Request('save 5 fields, "big"', 1795623481722 * 10**6, 250 * 10**6, 200, "ok", "", 133, 2781)
    assert found[0] == first
    assert [one.outcome for one in found] == ["ok", "http_error", "timeout", "invalid"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_jtl_csv_may_have_another_delimiter(tmp_path, delimiter):
    text = "timeStamp,elapsed,label\n1795623481722,5,save\n".replace(",", delimiter)
    assert requests(tmp_path, "jtl", text)[0] == [Request("save", 1795623481722 * 10**6, 5 * 10**6)]


def test_jtl_xml_holds_what_csv_holds_and_no_sub_samples(tmp_path):
    from_csv, _ = requests(tmp_path, "jtl", JTL)
    from_xml, _ = requests(tmp_path, "jtl", JTL_XML)
    assert from_xml == from_csv[:2]


def test_k6_ends_at_its_time_and_takes_the_wait_for_a_connection_too(tmp_path):
    text = k6(point("http_reqs", 1), point("http_req_duration", 6.732674), point("http_req_blocked", 0.25))
    (found,), said = requests(tmp_path, "k6", text)
    took_ns = 6_732_674 + 250_000
    assert found == Request("POST save", AT_S * 10**9 + 722_470_546 - took_ns, took_ns, 200)
    assert said == []


def test_k6_never_takes_the_wait_of_another_request(tmp_path):
    later = "2026-11-25T16:18:02Z"
    text = k6(
        point("http_req_duration", 1.0),
        point("http_req_blocked", 500.0, time=later),
        point("http_req_duration", 2.0, time=later),
    )
    assert [one.took_ns for one in requests(tmp_path, "k6", text)[0]] == [10**6, 2 * 10**6]


def test_k6_says_how_many_iterations_it_dropped(tmp_path):
    text = k6(point("http_req_duration", 1.0), point("dropped_iterations", 3), point("dropped_iterations", 4))
    assert requests(tmp_path, "k6", text)[1] == [
        "k6 dropped 7 iterations because no virtual user was free: "
        "less was asked of the target than the script says."
    ]


@pytest.mark.parametrize(
    ("time", "ns"),
    [
        ("1795623481", 0),
        ("1795623481722", 722_000_000),
        ("1795623481722470", 722_470_000),
        ("1795623481722470546", 722_470_546),
        ("2026-11-25T17:18:01+01:00", 0),
    ],
)
def test_k6_csv_has_the_time_in_whatever_unit_k6_was_told(tmp_path, time, ns):
    text = f"metric_name,timestamp,metric_value,name,method,status\nhttp_req_duration,{time},1.5,a,GET,200\n"
    (found,), _ = requests(tmp_path, "k6", text)
    assert found == Request("GET a", AT_S * 10**9 + ns - 1_500_000, 1_500_000, 200)


def test_locust_counts_from_its_start_time(tmp_path):
    text = (
        "start_time,request_type,name,response_time,response_length,status_code,exception\n"
        "1795623481.5,POST,save,12.25,200,200,\n1795623482,POST,save,3,0,0,[Errno 111] Connection refused\n"
    )
    found, _ = requests(tmp_path, "locust", text)
    assert found == [
        Request("POST save", AT_S * 10**9 + 500_000_000, 12_250_000, 200, "ok", "", 0, 200),
        Request("POST save", (AT_S + 1) * 10**9, 3_000_000, 0, "refused", "connection refused"),
    ]


def test_vegeta_json_and_csv_tell_the_same(tmp_path):
    as_json = (
        '{"attack":"","seq":0,"code":200,"timestamp":"2026-11-25T16:18:01.722470546Z","latency":1500000,"bytes_out":7,'
        '"bytes_in":2,"error":"","body":"b2s=","method":"POST","url":"http://127.0.0.1/save","headers":{}}\n'
    )
    as_csv = "1795623481722470546,200,1500000,7,2,,b2s=,,0,POST,http://127.0.0.1/save,e30=\n"
    expected = [Request("POST http://127.0.0.1/save", 1795623481722470546, 1_500_000, 200, "ok", "", 7, 2)]
    assert requests(tmp_path, "vegeta", as_json)[0] == expected
    assert requests(tmp_path, "vegeta", as_csv)[0] == expected


def test_k6_json_and_csv_of_real_runs_hold_the_same_labels():
    found = []
    for name in ("k6-before-1.json.gz", "k6.csv.gz"):
        path = HERE / name
        found.append({one.label for one in recognise(path, "k6").requests(path, lambda _: None)})
    assert found[0] == found[1] == {"GET login", "GET read case", *(f"POST save {n} fields" for n in (0, 50, 200))}


@pytest.mark.parametrize(
    ("tool", "content", "message"),
    [
        ("jtl", k6(ONE), "looks like k6 JSON; use: savepath import k6 results"),
        ("k6", JTL, "looks like JMeter JTL (CSV); use: savepath import jtl results"),
        ("locust", "Type,Name,Request Count,Failure Count\n", "it holds rounded percentiles and no requests"),
        ("locust", '[{"name": "a", "num_none_requests": 0}]', "it holds rounded times and no requests"),
        ("vegeta", GOB, "vegeta encode"),
        ("jtl", "1795623481722,250,save,200\n", "without its header; set jmeter.save"),
        ("jtl", "hello\n", "is not a file of jtl: it begins with 'hello\\n'; expected JMeter JTL (CSV) or JMeter"),
        ("k6", "", "results is empty"),
        ("k6", "metric_name".encode("utf-16"), "is UTF-16"),
    ],
)
def test_a_file_that_is_not_this_tools_is_named(tmp_path, tool, content, message):
    assert message in told(tmp_path, tool, content)


@pytest.mark.parametrize(
    ("tool", "content", "message"),
    [
        ("k6", k6(ONE, '{"metric":"htt'), 'results:3: found \'{"metric":"htt\''),
        ("k6", k6('{"type":"Point","metric":"http_req_duration","data":{}}'), "results:2: a Point of http_req_du"),
        ("jtl", JTL + "1795623482300,12,sa", "results:7: found 3 fields, expected 17"),
        ("jtl", JTL.replace("1795623482000", "2026/11/25"), "results:3: timeStamp is '2026/11/25'; expected"),
        ("jtl", JTL.encode() + b"\xff", "results:7:1: byte 0xff is not UTF-8"),
        ("jtl", JTL_XML.replace("</testResults>", ""), "append </testResults>"),
        ("jtl", JTL_XML.replace("<testR", '<!DOCTYPE a [<!ENTITY b "c">]><testR'), "results:2: a DOCTYPE"),
        ("jtl", "timeStamp,elapsed\n1,2\n", "results:1: no column label; found timeStamp, elapsed"),
        ("jtl", "timeStamp,elapsed,label,label\n1,2,a,b\n", "results:1: column label stands there more than once"),
        ("vegeta", "1795623481722470546,200,1500000,7,2,\n", "results:1: found 6 fields, expected 9 or 12"),
        ("k6", gzip.compress(k6(ONE).encode() * 9)[:-20], "ends in the middle of its gzip"),
    ],
)
def test_a_broken_file_is_told_with_its_line_and_what_was_expected(tmp_path, tool, content, message):
    assert message in told(tmp_path, tool, content)


def test_a_file_without_a_request_is_no_run(tmp_path):
    path = tmp_path / "results"
    path.write_text(k6(point("vus", 1)))
    with pytest.raises(InputError, match="holds no HTTP request"):
        read_files("k6", [path], own_names())


def test_files_far_apart_in_time_are_two_runs(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(JTL)
    second.write_text(JTL.replace("17956234", "17956334"))
    with pytest.raises(InputError, match=r"second begins 2:46:40 after .*first ended: these are two runs"):
        read_files("jtl", [second, first], own_names())
