// SPDX-License-Identifier: BSD-2-Clause
// The work of server1 and serverN: requests and answers as text, a document looked up by its name, its body summed. A
// client writes requests to a worker's pipe and reads answers from another; who the workers are is what differs.
#ifndef RINGSIDE_BENCH_MACRO_SERVER_H
#define RINGSIDE_BENCH_MACRO_SERVER_H

#include "guest/bantam/user/lib.h"

#define DOCUMENTS 64
#define NAME_BYTES 16
#define BODY_BYTES 2048
#define MESSAGE_BYTES 512
#define EXCERPT_BYTES 256 // of the body, in the answer
#define WORKERS 4

struct document {
    char name[NAME_BYTES];
    uint8_t body[BODY_BYTES];
};

struct text { // a message in the making
    char bytes[MESSAGE_BYTES];
    size_t length;
};

// A worker's two pipes: requests go through `ask`, answers through `answer`.
struct worker {
    int ask[2], answer[2];
    int pid;
};

struct service {
    struct worker worker[WORKERS];
    uint64_t next, sum; // requests asked, and what came back
    bool serve_here;    // the client's own process is the workers
    struct document document[DOCUMENTS];
};

static inline void add_bytes(struct text *t, const void *bytes, size_t size)
{
    if (size > sizeof t->bytes - t->length)
        panic("a message too long");
    memcpy(t->bytes + t->length, bytes, size);
    t->length += size;
}

static inline void add_text(struct text *t, const char *s)
{
    add_bytes(t, s, strlen(s));
}

static inline void add_number(struct text *t, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[sizeof digits - ++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    add_bytes(t, digits + sizeof digits - count, count);
}

static inline void add_name(struct text *t, uint64_t number)
{
    add_text(t, "/doc/");
    add_number(t, number * 37);
}

static inline void make_documents(struct service *s)
{
    uint64_t x = 1;
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        struct text name = {.length = 0};
        add_name(&name, i);
        memcpy(s->document[i].name, name.bytes, name.length);
        for (unsigned k = 0; k < BODY_BYTES; k++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull;
            s->document[i].body[k] = (uint8_t)('a' + (x >> 59) % 26);
        }
    }
}

static inline void make_pipes(struct worker *w)
{
    if (pipe(w->ask) || pipe(w->answer))
        panic("no pipes");
}

// ---- The server's side ----
static inline const struct document *find_document(const struct service *s, const char *name, size_t length)
{
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        const struct document *d = &s->document[i];
        if (length < NAME_BYTES && !memcmp(d->name, name, length) && !d->name[length])
            return d;
    }
    return NULL;
}

// The name in "GET NAME HTTP/1.0"; its length is 0 where the request is none.
static inline size_t parse_request(const struct text *request, const char **name)
{
    size_t start = strlen("GET "), at = start;
    *name = request->bytes + start;
    if (request->length < start || memcmp(request->bytes, "GET ", start))
        return 0;
    while (at < request->length && request->bytes[at] != ' ')
        at++;
    return at - start;
}

static inline uint32_t sum_of(const struct document *document)
{
    uint32_t a = 1, b = 0; // Adler-32
    for (unsigned i = 0; i < BODY_BYTES; i++) {
        a = (a + document->body[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static inline void answer_to(const struct service *s, const struct text *request, struct text *answer)
{
    const char *name;
    size_t length = parse_request(request, &name);
    const struct document *document = length ? find_document(s, name, length) : NULL;
    answer->length = 0;
    if (!document) {
        add_text(answer, "HTTP/1.0 404 Not Found\r\n\r\n");
        return;
    }
    add_text(answer, "HTTP/1.0 200 OK\r\nContent-Length: ");
    add_number(answer, BODY_BYTES);
    add_text(answer, "\r\nETag: ");
    add_number(answer, sum_of(document));
    add_text(answer, "\r\n\r\n");
    add_bytes(answer, document->body, EXCERPT_BYTES);
}

// Reads one request and writes its answer; false at the end of requests.
static inline bool serve_one(const struct service *s, const struct worker *w)
{
    struct text request, answer;
    int64_t length = read(w->ask[0], request.bytes, sizeof request.bytes);
    if (length <= 0)
        return false;
    request.length = (size_t)length;
    answer_to(s, &request, &answer);
    return write(w->answer[1], answer.bytes, answer.length) == (int64_t)answer.length;
}

// ---- The client's side ----
static inline void ask(const struct worker *w, uint64_t number)
{
    struct text request = {.length = 0};
    add_text(&request, "GET ");
    add_name(&request, number % (DOCUMENTS + 1)); // one name is of no document
    add_text(&request, " HTTP/1.0\r\nHost: localhost\r\n\r\n");
    if (write(w->ask[1], request.bytes, request.length) != (int64_t)request.length)
        panic("a worker takes no request");
}

static inline uint64_t take_answer(const struct worker *w)
{
    struct text answer;
    int64_t length = read(w->answer[0], answer.bytes, sizeof answer.bytes);
    if (length <= 0)
        panic("a worker gave no answer");
    uint64_t sum = 0;
    for (int64_t i = 0; i < length; i++)
        sum = sum * 31 + (uint8_t)answer.bytes[i];
    return sum;
}

// n requests, one for each worker at a time.
static inline void run_client(uint64_t n, void *ctx)
{
    struct service *s = ctx;
    while (n) {
        uint64_t batch = n < WORKERS ? n : WORKERS;
        for (uint64_t i = 0; i < batch; i++)
            ask(&s->worker[i], s->next++);
        for (uint64_t i = 0; i < batch; i++) {
            if (s->serve_here && !serve_one(s, &s->worker[i]))
                panic("a request was not served");
            s->sum = s->sum * 31 + take_answer(&s->worker[i]);
        }
        n -= batch;
    }
}

static inline void measure_service(struct service *s)
{
    bench_run(image_name, run_client, s);
    s->next = s->sum = 0;
    run_client(100, s);
    bench_value(image_name, s->sum);
}

#endif
