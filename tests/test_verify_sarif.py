from infragen.diagnostics import CATALOGUE, Diagnostics
from infragen.fileset import FileSet
from infragen.render.sarif import sarif
from infragen.verify import run


def test_a_finding_names_its_rule_and_its_place() -> None:
    diags = Diagnostics()
    run(
        FileSet({"net work.tf": 'resource "google_compute_network" "main" {\n  name = "é" # é\n}\n'}),
        diags,
        lambda _: False,
    )
    log = sarif(diags, CATALOGUE)
    (one_run,) = log["runs"]
    assert log["version"] == "2.1.0"
    rules = one_run["tool"]["driver"]["rules"]
    by_rule = {result["ruleId"]: result for result in one_run["results"]}
    assert set(by_rule) == {"P006", "V011"} == {rule["id"] for rule in rules}
    for result in one_run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    malformed = by_rule["V011"]
    assert malformed["level"] == "error"
    location = malformed["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "net%20work.tf"
    region = location["region"]
    assert (region["startLine"], region["startColumn"], region["endColumn"]) == (2, 10, 13)
    assert region["snippet"]["text"] == '  name = "é" # é'
    assert all({"text", "markdown"} <= set(rule["help"]) for rule in rules)


def test_nothing_found_is_a_log_with_an_empty_run() -> None:
    (one_run,) = sarif([], CATALOGUE)["runs"]
    assert one_run["results"] == []
    assert one_run["tool"]["driver"]["name"] == "infragen"
