from dropzoo.evaluation.report_markup import element, render


def test_text_and_attributes_are_escaped():
    made = element("p", "<b> & ", element("i", "</i>"), " <", title='"><b>')
    assert render(made) == (
        '<p title="&quot;&gt;<b&gt;">&lt;b&gt; &amp; <i>&lt;/i&gt;</i> &lt;</p>'
    )


def test_children_may_be_nested_and_nothing_is_left_out():
    made = element("ul", [None, [element("li", "a"), "b"], "c"], "d", None)
    assert render(made) == "<ul><li>a</li>bcd</ul>"


def test_python_names_become_attribute_names():
    made = element("line", class_="grid", stroke_width=2, viewBox="0", id=None)
    assert render(made) == (
        '<line class="grid" stroke-width="2" viewBox="0"></line>'
    )
