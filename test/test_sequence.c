/* The sequence chart: what is in the picture of a trace, which this file writes, and what is said of a file that is none. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *sequence_suite(void);

static char scratch[64];

static void make_it(void)
{
	make_scratch(scratch);
}

static void remove_it(void)
{
	remove_scratch(scratch);
}

/* ---- Traces and their pictures -------------------------------------------------------------------- */

/* JSON, but with ' for ", and each event with the comma after it. */
#define LANE(lane, name) "{'ph':'M','name':'thread_name','pid':1,'tid':" #lane ",'args':{'name':'" name "'}},\n"
#define CHANNEL(name, capacity) "{'ph':'M','name':'channel','pid':1,'tid':0,'args':{'name':'" name "','capacity':" #capacity "}},\n"
#define LEVEL(name, ts, n) "{'ph':'C','cat':'level','name':'" name "','pid':1,'tid':0,'ts':" #ts ",'args':{'elements':" #n "}},\n"
#define SLICE(cat, name, lane, ts, dur, args) \
	"{'ph':'X','cat':'" cat "','name':'" name "','pid':1,'tid':" #lane ",'ts':" #ts ",'dur':" #dur ",'args':{" args "}},\n"
#define ARROW(cat, name, id, from, ts, to, end, args) \
	"{'ph':'s','cat':'" cat "','name':'" name "','id':" #id ",'pid':1,'tid':" #from ",'ts':" #ts ",'args':{" args "}},\n" \
	"{'ph':'f','bp':'e','cat':'" cat "','name':'" name "','id':" #id ",'pid':1,'tid':" #to ",'ts':" #end "},\n"
#define VERDICT(text, lane, ts) "{'ph':'i','s':'g','cat':'verdict','name':'" text "','pid':1,'tid':" #lane ",'ts':" #ts "},\n"

/* A buffered channel, jobs, and one without a buffer and a printer, done; the last worker waits for a second job. */
#define WORKERS \
	"{'ph':'M','name':'process_name','pid':1,'tid':0,'args':{'name':'07-workers'}},\n" \
	LANE(1, "main") LANE(2, "worker 1") LANE(3, "worker 2") CHANNEL("jobs", 5) CHANNEL("done", 0) \
	SLICE("task", "worker 1", 2, 10, 2020, "") SLICE("task", "worker 2", 3, 12, 3000, "'unended':true") \
	SLICE("spawn", "spawn worker 1", 1, 1, 4, "") ARROW("start", "start", 1, 1, 2, 2, 10, "") \
	SLICE("spawn", "spawn worker 2", 1, 6, 3, "") ARROW("start", "start", 2, 1, 7, 3, 12, "") \
	SLICE("send", "send jobs", 1, 20, 0.4, "'channel':'jobs','elements':1,'value':'3'") \
	SLICE("send", "send jobs", 1, 20.5, 0.4, "'channel':'jobs','elements':1,'value':'4'") \
	LEVEL("jobs", 20.2, 1) LEVEL("jobs", 20.7, 2) LEVEL("jobs", 25, 1) LEVEL("jobs", 27, 0) \
	SLICE("receive", "receive jobs", 2, 11, 15, "'channel':'jobs','elements':1,'value':'3'") \
	SLICE("waiting", "waiting", 2, 11.2, 13.7, "") \
	SLICE("receive", "receive jobs", 3, 26, 2, "'channel':'jobs','elements':1,'value':'4'") \
	ARROW("message", "jobs", 3, 1, 20.2, 2, 25, "'channel':'jobs','elements':1,'value':'3'") \
	ARROW("message", "jobs", 4, 1, 20.7, 3, 27, "'channel':'jobs','elements':1,'value':'4'") \
	SLICE("send", "send done", 2, 2020, 3, "'channel':'done','elements':1") \
	SLICE("select", "select: receive done", 1, 30, 1994, "'channel':'done','elements':1,'cases':2,'winner':0") \
	SLICE("waiting", "waiting", 1, 30.2, 1992, "") \
	ARROW("message", "done", 5, 2, 2021, 1, 2021, "'channel':'done','elements':1") \
	SLICE("receive", "receive jobs", 3, 40, 2972, "'unended':true") \
	SLICE("waiting", "waiting", 3, 40.2, 2971.8, "'unended':true")

/* Runs the tool, for ten seconds of CPU time at most; its status, which is NO_PYTHON where there is none. */
enum { NO_PYTHON = 127 };

__attribute__((format(printf, 2, 3)))
static int tool(char said[2000], const char *format, ...)
{
	char arguments[400];
	va_list list;

	va_start(list, format);
	vsnprintf(arguments, sizeof arguments, format, list);
	va_end(list);
	int status = command(said, 2000, "ulimit -t 10; python3 extra/sequence.py %s", arguments);
	ck_assert_msg(status != NO_PYTHON || !has_program("python3 --version"), "%s", said);
	return status;
}

/* Runs it on a trace of these events, with this status; false where there is no Python. */
static bool runs(int expected, const char *events, const char *options, char said[2000])
{
	static char json[20000];

	snprintf(json, sizeof json, "{'traceEvents': [\n%s{'ph':'M','name':'end','tid':0}], 'otherData': {'dropped': '0'}}\n", events);
	for (char *at = json; (at = strchr(at, '\'')) != NULL; )
		*at = '"';
	write_file(scratch, "trace.json", json);
	int status = tool(said, "%s/trace.json %s", scratch, options);
	ck_assert_msg(status == expected || status == NO_PYTHON, "status %d: %s", status, said);
	return status != NO_PYTHON;
}

/* The same, and reads the picture, which must be XML. */
static const char *picture(const char *events, const char *options)
{
	static char svg[200000];
	char said[2000], path[100];

	if (!runs(0, events, options, said))
		return NULL;
	ck_assert_str_eq(said, "");
	must("python3 -SEc 'import xml.parsers.expat, sys; xml.parsers.expat.ParserCreate().ParseFile(sys.stdin.buffer)' "
	     "<%s/trace.svg", scratch);
	snprintf(path, sizeof path, "%s/trace.svg", scratch);
	FILE *file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	svg[fread(svg, 1, sizeof svg - 1, file)] = '\0';
	fclose(file);
	return svg;
}

static void has_times(const char *svg, int times, const char *what)
{
	int found = 0;

	for (const char *at = svg; (at = strstr(at, what)) != NULL; at++)
		found++;
	ck_assert_msg(found == times, "%d times instead of %d: %s", found, times, what);
}

/* ---- What is in the picture ----------------------------------------------------------------------- */

START_TEST(each_task_has_a_lane_with_its_name)
{
	const char *svg = picture(WORKERS, "");

	if (svg == NULL)
		return;
	has_times(svg, 3, "class=\"name lane\"");
	has_times(svg, 1, "class=\"name lane\">main<");
	has_times(svg, 1, "class=\"name lane\">worker 1<");
	has_times(svg, 1, "class=\"name lane\">worker 2<");
	has_times(svg, 1, "class=\"title\">07-workers<");
	ck_assert_ptr_nonnull(strstr(svg, "not to scale"));
}
END_TEST

START_TEST(lanes_stand_in_the_order_that_the_trace_gives)
{
	const char *svg = picture(LANE(1, "main") LANE(2, "first")
		"{'ph':'M','name':'thread_sort_index','pid':1,'tid':1,'args':{'sort_index':2}},\n"
		"{'ph':'M','name':'thread_sort_index','pid':1,'tid':2,'args':{'sort_index':1}},\n"
		SLICE("close", "close jobs", 1, 1, 1, "'channel':'jobs'") SLICE("close", "close jobs", 2, 1, 1, "'channel':'jobs'"), "");

	if (svg != NULL)
		ck_assert(strstr(svg, ">first<") < strstr(svg, ">main<"));
}
END_TEST

START_TEST(an_operation_within_another_stands_below_it)
{
	const char *svg = picture(SLICE("close", "close jobs", 1, 4, 1, "'channel':'jobs'") SLICE("wait group", "wait group", 1, 1, 9, "")
		SLICE("close", "close done", 1, 11, 1, "'channel':'done'"), "");
	double y[3];

	if (svg == NULL)
		return;
	for (int i = 0; i < 3; i++, svg++) {
		svg = strstr(svg, " operation\"/>");
		const char *at = svg;
		while (strncmp(at, "y=\"", 3) != 0)
			at--;
		y[i] = strtod(at + 3, NULL);
	}
	ck_assert(y[1] > y[0]);
	ck_assert(y[2] <= y[0]);
}
END_TEST

START_TEST(each_operation_has_a_short_label)
{
	const char *svg = picture(SLICE("spawn", "spawn worker 1", 1, 1, 4, "")
		SLICE("send", "send jobs", 1, 20, 0.4, "'channel':'jobs','elements':1,'value':'3'")
		SLICE("receive", "receive jobs", 2, 11, 15, "'channel':'jobs','elements':1,'value':'3'")
		SLICE("select", "select: receive done", 1, 30, 1994, "'channel':'done','elements':1,'cases':2,'winner':0")
		SLICE("close", "close jobs", 1, 2030, 1, "'channel':'jobs'")
		SLICE("send", "send jobs", 1, 2032, 1, "'channel':'jobs','elements':0,'value':'9','result':'EPIPE'")
		SLICE("receive", "receive done", 1, 2036, 1, "'channel':'done','elements':3")
		SLICE("select", "select: send jobs", 1, 2038, 1, "'channel':'jobs','elements':1,'value':'9','cases':2,'winner':1")
		SLICE("select", "select of 2", 1, 2040, 1, "'cases':2,'result':'ETIMEDOUT'"), "");
	const char *const labels[] = { "spawn worker 1", "send 3", "recv 3", "select: recv done", "close jobs", "send 9: EPIPE", "recv done ×3", "select: send jobs 9", "select of 2: ETIMEDOUT", NULL };
	char label[100];

	for (int i = 0; svg != NULL && labels[i] != NULL; i++) {
		snprintf(label, sizeof label, "class=\"halo\">%s</text>", labels[i]);
		has_times(svg, 1, label);
	}
}
END_TEST

START_TEST(each_message_is_an_arrow_with_its_value_or_else_its_channel)
{
	const char *svg = picture(WORKERS, "");

	if (svg == NULL)
		return;
	has_times(svg, 1, "<title>jobs 3 from main to worker 1</title></path>");
	has_times(svg, 1, "<title>jobs 4 from main to worker 2</title></path>");
	has_times(svg, 1, "<title>done from worker 1 to main</title></path>");
	has_times(svg, 3, "class=\"value halo\"");
	has_times(svg, 1, "class=\"value halo\" text-anchor=\"middle\">3<");
	has_times(svg, 1, "class=\"value halo\" text-anchor=\"middle\">done<");
	has_times(svg, 1, "<title>main starts worker 1</title></path>");
	has_times(svg, 1, "<title>main starts worker 2</title></path>");
}
END_TEST

/* Each thread has its own events, so the end of an arrow may come before its beginning. */
START_TEST(the_order_of_events_in_the_file_does_not_matter)
{
	const char *svg = picture("{'ph':'f','cat':'start','id':7,'tid':2,'ts':3},\n" SLICE("task", "worker 1", 2, 3, 9, "")
		SLICE("close", "close jobs", 1, 5, 1, "'channel':'jobs'") SLICE("spawn", "spawn worker 1", 1, 1, 1, "")
		"{'ph':'s','cat':'start','id':7,'tid':1,'ts':1},\n" LANE(2, "worker 1") LANE(1, "main"), "");

	if (svg != NULL)
		has_times(svg, 1, "<title>main starts worker 1</title></path>");
}
END_TEST

START_TEST(each_wait_is_shaded)
{
	const char *svg = picture(WORKERS, "");

	if (svg == NULL)
		return;
	has_times(svg, 3, "class=\"wait\"><title>");
	has_times(svg, 1, "class=\"wait\"><title>worker 1 waits for 13.7 µs</title>");
}
END_TEST

START_TEST(a_wait_without_an_end_says_so)
{
	const char *svg = picture(WORKERS, "");

	if (svg == NULL)
		return;
	has_times(svg, 1, "class=\"halo\">recv jobs <tspan class=\"alarm\">still waits</tspan></text>");
	svg = picture(WORKERS VERDICT("deadlock: all threads wait", 3, 3012), "");
	has_times(svg, 0, ">still waits<");
	has_times(svg, 1, "class=\"halo\">recv jobs <tspan class=\"alarm\">waits for ever</tspan></text>");
}
END_TEST

START_TEST(a_channel_with_a_buffer_has_its_fill_level_below)
{
	const char *svg = picture(WORKERS, "");

	if (svg == NULL)
		return;
	has_times(svg, 1, "class=\"level\"");
	has_times(svg, 1, "<title>elements in jobs</title>");
	has_times(svg, 1, "class=\"faint\">0..5<");
}
END_TEST

START_TEST(the_steps_of_the_explorer_have_boxes_and_its_verdict_is_a_headline)
{
	const char *svg = picture(LANE(1, "thread 1") LANE(2, "thread 2")
		SLICE("step", "lock m", 1, 1, 0.8, "") SLICE("step", "read counter (my.c:12)", 2, 2, 0.8, "")
		VERDICT("data race: counter", 2, 2), "");

	if (svg == NULL)
		return;
	has_times(svg, 1, ">lock m</text>");
	has_times(svg, 1, ">read counter</text>");
	has_times(svg, 1, ">(my.c:12)</text>");
	has_times(svg, 1, "class=\"verdict alarm\">data race: counter<");
	has_times(svg, 1, "<g><title>data race: counter</title>\n<path ");
	has_times(svg, 1, "tick\" text-anchor=\"middle\">2<");
}
END_TEST

START_TEST(a_legend_explains_what_occurs_and_nothing_else)
{
	const char *svg = picture(WORKERS, "");

	if (svg == NULL)
		return;
	has_times(svg, 1, ">it waits<");
	has_times(svg, 1, ">from send to receive, over jobs<");
	has_times(svg, 1, ">over done<");
	has_times(svg, 1, ">elements in a channel, and its capacity<");
	has_times(svg, 0, ">the verdict<");
	svg = picture(SLICE("step", "lock m", 1, 1, 0.8, "") VERDICT("data race", 1, 1), "");
	has_times(svg, 0, ">it waits<");
	has_times(svg, 0, "from send to receive");
	has_times(svg, 0, ">elements in a channel, and its capacity<");
	has_times(svg, 1, ">the verdict<");
}
END_TEST

/* Of the boxes at one height each is wide enough for its label, at half an em for a character, and ends before the next. */
#define NO_OVERLAP \
	"import re, sys\n" \
	"svg = open(sys.argv[1], encoding=\"utf-8\").read()\n" \
	"boxes = re.findall(r\"<rect x=.([0-9.]+). y=.([0-9.]+). width=.([0-9.]+).[^>]* operation\", svg)\n" \
	"boxes = [tuple(map(float, box)) for box in boxes]\n" \
	"texts = {(float(x) - 4, float(y) - 13): text for x, y, text in re.findall(r\"<text x=.([0-9.]+). y=.([0-9.]+). class=.halo.>([^<]*)<\", svg)}\n" \
	"assert len(boxes) == 41, boxes\n" \
	"for x, y, width in boxes:\n" \
	"	assert width >= 5 * len(texts[x, y]), texts[x, y]\n" \
	"	assert all(x2 <= x or x2 > x + width - .2 for x2, y2, _ in boxes if y2 == y), (x, y)\n"

START_TEST(labels_in_a_lane_do_not_overlap_however_close_in_time)
{
	static char events[8000];
	size_t used = 0;

	for (int i = 0; i < 40; i++)
		used += (size_t)snprintf(events + used, sizeof events - used, SLICE("send", "send jobs", %d, %d.%03d, 0.002,
			"'channel':'jobs','elements':1,'value':'%d00'"), 1 + i % 2, i < 20 ? 0 : 50000, i * 3, i);
	used += (size_t)snprintf(events + used, sizeof events - used, "%s", SLICE("wait group", "wait", 3, 0, 60000, ""));
	if (picture(events, "") != NULL)
		must("python3 -c '" NO_OVERLAP "' %s/trace.svg", scratch);
}
END_TEST

/* In DejaVu Sans, which many systems draw with, and which is wider than most: its advances in thousandths of an em. */
#define FITS_IN_DEJAVU \
	"import re, sys\n" \
	"svg = open(sys.argv[1], encoding=\"utf-8\").read()\n" \
	"em = dict(zip(\"abcdefghijklmnopqrstuvwxyz_().,: \", [613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278,\n" \
	"	974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 500, 390, 390, 318, 318, 337, 318]))\n" \
	"boxes = re.findall(r\"<rect x=.([0-9.]+). y=.([0-9.]+). width=.([0-9.]+). height=.([0-9.]+)[^>]* operation\", svg)\n" \
	"texts = re.findall(r\"<text x=.([0-9.]+). y=.([0-9.]+). class=.halo.>(.*?)</text>\", svg)\n" \
	"assert len(boxes) == 6 and len(texts) == 10, texts\n" \
	"for x, y, text in texts:\n" \
	"	text = re.sub(\"<.*?>\", \"\", text)\n" \
	"	long = 11 * sum(em.get(c, 636) for c in text) / 1000\n" \
	"	room = [float(w) for bx, by, w, h in boxes\n" \
	"		if abs(float(bx) + 4 - float(x)) < .2 and float(by) < float(y) < float(by) + float(h)]\n" \
	"	assert len(room) == 1 and room[0] >= 6 + long, (text, room, long)\n"

START_TEST(labels_fit_into_their_boxes_in_a_wide_font)
{
	const char *svg = picture(LANE(1, "main") LANE(2, "other 1")
		SLICE("step", "chan_set_name(to_other)", 1, 1, 0.8, "") SLICE("step", "starts other 1 (wrong.c:39)", 1, 2, 0.8, "")
		SLICE("step", "waits in chan_send(to_other), for ever (wrong.c:18)", 1, 3, 0.8, "")
		SLICE("step", "waits for fork_2, which eat 1 has locked, for ever (my.c:12)", 2, 4, 0.8, "")
		SLICE("step", "common mmmm wwww", 2, 5, 0.8, "")
		SLICE("send", "send to_other", 1, 5, 0.8, "'channel':'to_other','elements':1,'value':'1','unended':true")
		VERDICT("deadlock: all threads wait", 1, 5), "");

	if (svg == NULL)
		return;
	has_times(svg, 1, ">waits in chan_send(to_other), for ever</text>");
	has_times(svg, 1, ">waits for fork_2, which eat 1 has</text>");
	has_times(svg, 1, ">locked, for ever</text>");
	must("python3 -c '" FITS_IN_DEJAVU "' %s/trace.svg", scratch);
}
END_TEST

/* ---- Texts and limits ----------------------------------------------------------------------------- */

START_TEST(texts_of_the_program_are_escaped)
{
	const char *svg = picture(LANE(1, "<a & b>") LANE(2, "\\u0001\\ud800")
		SLICE("send", "send \\\"<c>\\\"", 1, 1, 1, "'channel':'<c>','elements':1,'value':'</text>'")
		SLICE("receive", "receive <c>", 2, 1, 1, "'channel':'<c>','elements':1,'value':'</text>'")
		ARROW("message", "<c>", 1, 1, 1, 2, 2, "'channel':'<c>','elements':1,'value':'</text>'"), "--title '<&>'");

	if (svg == NULL)
		return;
	has_times(svg, 1, "class=\"name lane\">&lt;a &amp; b&gt;<");
	has_times(svg, 1, "class=\"name lane\">\xef\xbf\xbd\xef\xbf\xbd<");
	has_times(svg, 1, ">send &lt;/text&gt;</text>");
	has_times(svg, 1, "class=\"title\">&lt;&amp;&gt;<");
}
END_TEST

START_TEST(long_names_are_shortened)
{
	const char *svg = picture(LANE(1, "a name of more than twenty-four characters")
		SLICE("send", "send jobs", 1, 1, 1, "'channel':'jobs','elements':1,'value':'a long, long, long value'"), "");

	if (svg == NULL)
		return;
	has_times(svg, 1, "class=\"name lane\">a name of more than twe…<");
	has_times(svg, 1, ">send a long, long, l…<");
}
END_TEST

START_TEST(more_operations_than_asked_for_are_left_out_and_counted)
{
	const char *svg = picture(WORKERS, "--most 4");

	if (svg == NULL)
		return;
	has_times(svg, 4, " operation\"/>");
	has_times(svg, 1, ">5 of the 9 operations are left out.</text>");
	svg = picture(WORKERS, "");
	ck_assert_ptr_null(strstr(svg, "left out"));
}
END_TEST

START_TEST(only_a_range_of_time_is_drawn_if_one_is_given)
{
	const char *svg = picture(WORKERS, "--from 15 --to 35");

	if (svg == NULL)
		return;
	has_times(svg, 0, ">spawn worker 1</text>");
	has_times(svg, 1, ">recv 3</text>");
	has_times(svg, 0, ">send done</text>");
	has_times(svg, 1, "tick\" text-anchor=\"middle\">15.0 µs<");
	svg = picture(WORKERS, "--from 2000 --most 2");
	has_times(svg, 2, " operation\"/>");
	has_times(svg, 1, ">7 of the 9 operations are left out.</text>");
}
END_TEST

START_TEST(a_hundred_thousand_events_are_no_reason_to_wait)
{
	char path[100], said[2000];

	snprintf(path, sizeof path, "%s/large.json", scratch);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs("{\"traceEvents\": [\n", file);
	for (int i = 0; i < 100000; i++)
		fprintf(file, "{\"ph\":\"X\",\"cat\":\"send\",\"name\":\"send jobs\",\"pid\":1,\"tid\":%d,\"ts\":%d.5,\"dur\":0.3,\"args\":"
			"{\"channel\":\"jobs\",\"elements\":1,\"value\":\"%d\"}}%s\n", i % 7, i, i, i < 99999 ? "," : "]}");
	ck_assert_int_eq(fclose(file), 0);
	int status = tool(said, "%s", path);
	if (status == NO_PYTHON)
		return;
	ck_assert_msg(status == 0, "status %d: %s", status, said);
	must("grep -q '>99,800 of the 100,000 operations are left out.<' %s/large.svg", scratch);
}
END_TEST

/* ---- What is no trace ----------------------------------------------------------------------------- */

START_TEST(the_picture_goes_where_it_is_told_to)
{
	char said[2000], options[300];

	snprintf(options, sizeof options, "-o %s/other.svg && test ! -e %s/trace.svg && test -s %s/other.svg", scratch, scratch, scratch);
	if (!runs(0, WORKERS, options, said))
		return;
	snprintf(options, sizeof options, "-o %s/no/other.svg", scratch);
	runs(1, WORKERS, options, said);
	ck_assert_ptr_nonnull(strstr(said, "/trace.json: cannot write "));
	ck_assert_ptr_nonnull(strstr(said, "/no/other.svg: No such file or directory\n"));
}
END_TEST

static const struct mistake {
	const char *text, *said;
} mistakes[] = {
	{ "", "trace.json: no JSON: " },
	{ "{'traceEvents': [", "trace.json: no JSON: " },
	{ "\xff", "trace.json: no JSON: " },
	{ "{}", "trace.json: no events" },
	{ "{'traceEvents': []}", "trace.json: no events" },
	{ "[3]", "trace.json: no events" },
	{ "{'traceEvents': [3]}", "trace.json: event 1 is malformed: no object\n" },
	{ "{'traceEvents': [{}, {'ph':'X','cat':'send','name':'send','tid':1,'dur':1}]}", "trace.json: event 2 is malformed: \"ts\" is no number" },
	{ "{'traceEvents': [{'ph':'X','cat':'send','name':'send','tid':1,'ts':1,'dur':-1}]}", "event 1 is malformed: \"dur\" is no number" },
	{ "{'traceEvents': [{'ph':'X','cat':'send','name':'send','tid':1,'ts':NaN,'dur':1}]}", "event 1 is malformed: \"ts\" is no number" },
	{ "{'traceEvents': [{'ph':'X','cat':'send','name':[],'tid':1,'ts':1,'dur':1}]}", "event 1 is malformed: \"name\" is no text" },
	{ "{'traceEvents': [{'ph':'X','cat':'send','name':'send','tid':[],'ts':1,'dur':1}]}", "event 1 is malformed: \"tid\" is no number" },
	{ "{'traceEvents': [{'ph':'X','cat':'send','name':'send','tid':1,'ts':1,'dur':1,'args':3}]}", "event 1 is malformed: no object\n" },
	{ "{'traceEvents': [{'ph':'f','cat':[],'id':1,'tid':1,'ts':1}]}", "trace.json: no operation in it\n" },
};

START_TEST(what_is_no_trace_is_an_error_that_names_file_and_reason)
{
	char said[2000], text[200];

	strcpy(text, mistakes[_i].text);
	for (char *at = text; (at = strchr(at, '\'')) != NULL; )
		*at = '"';
	write_file(scratch, "trace.json", text);
	int status = tool(said, "%s/trace.json", scratch);
	if (status == NO_PYTHON)
		return;
	ck_assert_msg(status == 1 && strstr(said, mistakes[_i].said), "status %d: %s", status, said);
	ck_assert_ptr_null(strstr(said, "Traceback"));
}
END_TEST

START_TEST(a_file_that_is_not_there_is_an_error)
{
	char said[2000];
	int status = tool(said, "%s/none.json", scratch);

	if (status == NO_PYTHON)
		return;
	ck_assert_int_eq(status, 1);
	ck_assert_ptr_nonnull(strstr(said, "/none.json: No such file or directory\n"));
}
END_TEST

START_TEST(wrong_usage_has_status_2)
{
	char said[2000];

	if (!runs(2, WORKERS, "--most 0", said))
		return;
	runs(2, WORKERS, "--from 3 --to 2", said);
	runs(2, WORKERS, "--to inf", said);
	runs(2, WORKERS, "--unknown", said);
	ck_assert_ptr_nonnull(strstr(said, "usage: "));
	runs(1, WORKERS, "--from 5000", said);
	ck_assert_ptr_nonnull(strstr(said, "/trace.json: nothing happens in that time\n"));
}
END_TEST

Suite *sequence_suite(void)
{
	Suite *s = suite_create("sequence");
	TCase *tc = tcase_create("sequence");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, make_it, remove_it);
	tcase_add_test(tc, each_task_has_a_lane_with_its_name);
	tcase_add_test(tc, lanes_stand_in_the_order_that_the_trace_gives);
	tcase_add_test(tc, an_operation_within_another_stands_below_it);
	tcase_add_test(tc, each_operation_has_a_short_label);
	tcase_add_test(tc, each_message_is_an_arrow_with_its_value_or_else_its_channel);
	tcase_add_test(tc, the_order_of_events_in_the_file_does_not_matter);
	tcase_add_test(tc, each_wait_is_shaded);
	tcase_add_test(tc, a_wait_without_an_end_says_so);
	tcase_add_test(tc, a_channel_with_a_buffer_has_its_fill_level_below);
	tcase_add_test(tc, the_steps_of_the_explorer_have_boxes_and_its_verdict_is_a_headline);
	tcase_add_test(tc, a_legend_explains_what_occurs_and_nothing_else);
	tcase_add_test(tc, labels_in_a_lane_do_not_overlap_however_close_in_time);
	tcase_add_test(tc, labels_fit_into_their_boxes_in_a_wide_font);
	tcase_add_test(tc, texts_of_the_program_are_escaped);
	tcase_add_test(tc, long_names_are_shortened);
	tcase_add_test(tc, more_operations_than_asked_for_are_left_out_and_counted);
	tcase_add_test(tc, only_a_range_of_time_is_drawn_if_one_is_given);
	tcase_add_test(tc, a_hundred_thousand_events_are_no_reason_to_wait);
	tcase_add_test(tc, the_picture_goes_where_it_is_told_to);
	tcase_add_loop_test(tc, what_is_no_trace_is_an_error_that_names_file_and_reason, 0, sizeof mistakes / sizeof mistakes[0]);
	tcase_add_test(tc, a_file_that_is_not_there_is_an_error);
	tcase_add_test(tc, wrong_usage_has_status_2);
	suite_add_tcase(s, tc);
	return s;
}
