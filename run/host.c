// SPDX-License-Identifier: BSD-2-Clause
// The host's description, from /proc, /sys, CPUID and git. What is not known is null, never guessed.
#include "run/host.h"

#include <capstone/capstone.h>
#include <cpuid.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "run/child.h"
#include "run/pmu.h"
#include "run/results.h"

#define CPUID_HYPERVISOR_BASE 0x40000000u
#define CPUID_HYPERVISOR_TSC 0x40000010u // eax: TSC frequency in kHz, where the hypervisor gives it

enum { LINE_SIZE = 1024, MEASURE_MS = 100 };

// First line of a file; false where there is none.
static bool first_line(const char *path, char line[static LINE_SIZE])
{
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(line, LINE_SIZE, f);
    if (f)
        fclose(f);
    if (ok)
        line[strcspn(line, "\n")] = '\0';
    return ok;
}

static json_t *file_text(const char *path)
{
    char line[LINE_SIZE];
    return first_line(path, line) ? json_text(line) : json_null();
}

// Every file of a folder: name -> first line. prefix: before each name.
static void folder_texts(json_t *object, const char *folder, const char *prefix)
{
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        char path[LINE_SIZE], key[LINE_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        snprintf(key, sizeof key, "%s%s", prefix, entry->d_name);
        json_object_set_new(object, key, file_text(path));
    }
    closedir(d);
}

// ---- CPU ----

struct cpuinfo_key {
    const char *in_file, *key;
    bool number;
};

static void add_cpuinfo(json_t *o)
{
    static const struct cpuinfo_key keys[] = {
        {"model name", "cpu_model", false}, {"vendor_id", "vendor", false}, {"cpu family", "family", true},
        {"model", "model", true},           {"stepping", "stepping", true}, {"microcode", "microcode", false},
    };
    char line[8 * LINE_SIZE];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set_new(o, keys[i].key, json_null());
    json_object_set_new(o, "constant_tsc", json_null());
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f) && line[0] != '\n') { // an empty line ends the first CPU
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        const char *value = colon[1] ? colon + 2 : colon + 1;
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            size_t length = strlen(keys[i].in_file);
            if (!strncmp(line, keys[i].in_file, length) && line[length] == '\t')
                json_object_set_new(o, keys[i].key, keys[i].number ? json_integer(atoi(value)) : json_text(value));
        }
        if (!strncmp(line, "flags\t", 6)) {
            json_object_set_new(o, "constant_tsc", json_boolean(strstr(value, " constant_tsc") != NULL));
            json_object_set_new(o, "nonstop_tsc", json_boolean(strstr(value, " nonstop_tsc") != NULL));
        }
    }
    if (f)
        fclose(f);
}

static json_t *hypervisor(void)
{
    unsigned a, b, c, d;
    char name[13] = "";
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 31))
        return json_null();
    __cpuid(CPUID_HYPERVISOR_BASE, a, b, c, d);
    memcpy(name, &b, 4);
    memcpy(name + 4, &c, 4);
    memcpy(name + 8, &d, 4);
    return json_text(name);
}

static double raw_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static json_int_t measured_tsc_khz(void)
{
    double start = raw_seconds();
    unsigned long long tsc = __rdtsc();
    usleep(MEASURE_MS * 1000);
    double seconds = raw_seconds() - start;
    return (json_int_t)((double)(__rdtsc() - tsc) / seconds / 1000);
}

static void add_tsc(json_t *o)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    json_int_t khz = 0;
    const char *from = "CPUID leaf 15h";
    if (__get_cpuid_count(0x15, 0, &a, &b, &c, &d) && a && b && c)
        khz = (json_int_t)((double)c * b / a / 1000);
    __get_cpuid(1, &a, &b, &c, &d);
    if (!khz && c >> 31) {
        __cpuid(CPUID_HYPERVISOR_BASE, a, b, c, d);
        if (a >= CPUID_HYPERVISOR_TSC) {
            __cpuid(CPUID_HYPERVISOR_TSC, a, b, c, d);
            khz = a;
            from = "the hypervisor's CPUID leaf 40000010h";
        }
    }
    if (!khz) {
        khz = measured_tsc_khz();
        from = "measured against CLOCK_MONOTONIC_RAW";
    }
    json_object_set_new(o, "tsc_khz", json_integer(khz));
    json_object_set_new(o, "tsc_khz_from", json_string(from));
}

static json_t *boost(void)
{
    char line[LINE_SIZE];
    if (first_line("/sys/devices/system/cpu/cpufreq/boost", line))
        return json_boolean(line[0] == '1');
    if (first_line("/sys/devices/system/cpu/intel_pstate/no_turbo", line))
        return json_boolean(line[0] == '0');
    return json_null();
}

// ---- Kernel ----

static json_t *kernel(void)
{
    struct utsname u;
    char text[2 * sizeof u.release];
    if (uname(&u))
        return json_null();
    snprintf(text, sizeof text, "%s %s", u.release, u.version);
    return json_text(text);
}

static json_t *kvm(void)
{
    json_t *modules = json_array(), *parameters = json_object();
    DIR *d = opendir("/sys/module");
    for (struct dirent *entry; d && (entry = readdir(d));) {
        char folder[LINE_SIZE], prefix[LINE_SIZE];
        const char *name = entry->d_name;
        if (strncmp(name, "kvm", 3))
            continue;
        json_array_append_new(modules, json_text(name));
        snprintf(folder, sizeof folder, "/sys/module/%s/parameters", name);
        snprintf(prefix, sizeof prefix, "%s.", name);
        folder_texts(parameters, folder, prefix);
    }
    if (d)
        closedir(d);
    if (json_array_size(modules))
        return json_pack("{s:o, s:o}", "modules", modules, "parameters", parameters);
    json_decref(modules);
    json_decref(parameters);
    return json_null();
}

static json_t *pmu(void)
{
    struct pmu p;
    bool available = pmu_open(&p, pmu_core_events, pmu_core_event_count);
    json_t *events = json_array();
    for (size_t i = 0; i < pmu_core_event_count; i++)
        json_array_append_new(events, json_string(pmu_core_events[i]));
    pmu_close(&p);
    return json_pack("{s:b, s:o, s:o}", "available", available, "reason", json_text(available ? "" : p.reason),
                     "events", events);
}

// ---- How quiet ----

__attribute__((format(printf, 2, 3))) static void warn(json_t *list, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(list, json_text(text));
}

static void add_quiet(json_t *o)
{
    double load[3] = {0};
    char line[LINE_SIZE];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    json_t *warnings = json_array();
    if (getloadavg(load, 3) == 3 && load[0] > 0.5)
        warn(warnings, "load average is %.2f on %ld CPUs before the run", load[0], cpus);
    if (first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", line) && strcmp(line, "performance"))
        warn(warnings, "the frequency governor is %s, not performance", line);
    if (json_is_true(json_object_get(o, "boost")))
        warn(warnings, "frequency boost is on: TSC cycles are not core cycles");
    if (!json_is_true(json_object_get(o, "constant_tsc")))
        warn(warnings, "the TSC is not known to be constant");
    if (json_is_string(json_object_get(o, "hypervisor")))
        warn(warnings, "this is a VM: its host may take the CPU away at any time");
    json_object_set_new(o, "cpus", json_integer(cpus));
    json_object_set_new(o, "load_average", json_pack("[f, f, f]", load[0], load[1], load[2]));
    json_object_set_new(o, "unquiet", warnings);
}

// ---- Program ----

// What a command prints, without its last newline; false where it cannot run or fails.
static bool output_of(char *const argv[], char text[static LINE_SIZE])
{
    struct child_result result;
    char err[256];
    const struct child_request request = {.argv = argv, .timeout_ns = 10ull * 1000000000, .stop_fd = -1};
    bool ok = child_run(&request, &result, err, sizeof err) == 0 && result.status == 0;
    snprintf(text, LINE_SIZE, "%s", ok && result.out ? result.out : "");
    text[strcspn(text, "\n")] = '\0';
    child_free(&result);
    return ok;
}

static void add_program(json_t *o, const char *root)
{
    char commit[LINE_SIZE], changes[LINE_SIZE], capstone[32];
    char *const head[] = {"git", "-C", (char *)root, "rev-parse", "HEAD", NULL};
    char *const status[] = {"git", "-C", (char *)root, "status", "--porcelain", "--untracked-files=no", NULL};
    bool known = output_of(head, commit) && output_of(status, changes);
    int major, minor;
    cs_version(&major, &minor);
    snprintf(capstone, sizeof capstone, "%d.%d", major, minor);
    json_object_set_new(o, "commit", known ? json_text(commit) : json_null());
    json_object_set_new(o, "dirty", known ? json_boolean(changes[0] != '\0') : json_null());
    json_object_set_new(o, "compiler", json_string("gcc " __VERSION__));
    json_object_set_new(o, "capstone", json_text(capstone));
}

json_t *host_describe(const char *root)
{
    char host[65] = "";
    json_t *o = json_object(), *mitigations = json_object();
    gethostname(host, sizeof host - 1);
    json_object_set_new(o, "host", json_text(host));
    add_cpuinfo(o);
    add_tsc(o);
    json_object_set_new(o, "kernel", kernel());
    json_object_set_new(o, "governor", file_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
    json_object_set_new(o, "boost", boost());
    folder_texts(mitigations, "/sys/devices/system/cpu/vulnerabilities", "");
    json_object_set_new(o, "mitigations", mitigations);
    json_object_set_new(o, "hypervisor", hypervisor());
    json_object_set_new(o, "kvm", kvm());
    json_object_set_new(o, "pmu", pmu());
    add_quiet(o);
    add_program(o, root);
    return o;
}
