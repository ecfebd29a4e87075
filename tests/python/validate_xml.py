"""Every annotation of a dataset against the XSD, and what the XSD must refuse: validate_xml.py XSD DATASET"""

import sys
from pathlib import Path
from xml.etree import ElementTree

from lxml import etree

xsd, dataset = map(Path, sys.argv[1:])
schema = etree.XMLSchema(etree.parse(str(xsd)))
files = sorted(dataset.glob("annotations/*/*/*.xml"))
assert files
for path in files:
    tree = etree.parse(str(path))
    schema.assertValid(tree)
    names = [e.text for e in tree.iter("name")]
    assert names == [e.text for e in ElementTree.parse(path).iter("name")], path

TEXT = """<?xml version="1.0" ?><annotation verified="no">
\t<folder>VOC2007</folder>
\t<object>
\t\t<name>Abercrombie &amp; Fitch</name>
\t\t<pose>Unspecified</pose>
\t\t<bndbox><xmin>2</xmin><ymin>325</ymin><xmax>509</xmax><ymax>359</ymax></bndbox>
\t\t<index>7</index>
\t</object>
</annotation>"""


def valid(old="", new=""):
    assert old in TEXT
    return schema.validate(etree.fromstring(TEXT.replace(old, new, 1).encode()))


assert valid()
# As real files differ.
for old, new in [
    (' verified="no"', ""),
    ("<folder>", "<path>/a/b.jpg</path><folder>"),
    ("<pose>Unspecified</pose>", ""),
    ("<xmin>2</xmin><ymin>325</ymin>", "<ymin>325</ymin><xmin>2.5</xmin>"),
    ("<pose>", "<actions><jumping>1</jumping></actions><pose>"),
    (">2<", "> -3 <"),
    # A defective object stays in its file, and `rejects.jsonl` tells of it.
    (">2<", ">left<"),
    ("<xmin>2</xmin>", ""),
    ("<xmin>2</xmin>", "<xmin>2</xmin><xmin>3</xmin>"),
    ("<name>Abercrombie &amp; Fitch</name>", ""),
    ("Abercrombie &amp; Fitch", " "),
]:
    assert valid(old, new), (new, schema.error_log)
for old, new in [
    ("<index>7</index>", ""),
    ("<index>7</index>", "<index>7</index><index>7</index>"),
    (">7<", ">-7<"),
    (">7<", "><"),
    (">7<", ">7.5<"),
]:
    assert not valid(old, new), (old, new)
assert not schema.validate(etree.fromstring("<html><body/></html>"))
print(f"{len(files)} annotations")
