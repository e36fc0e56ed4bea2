// SPDX-License-Identifier: BSD-2-Clause
// Looks for images in the folder `images` beside the program or one above it (a sanitized program lies in build/san).
#include "run/images.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/suggest.h"

enum { FILE_MAX_MIB = 1024, LIST_WIDTH = 90 };

// The folder that holds images/ and native/: `build`. 0, or -1 where there is none.
static int find_build(char build[static IMAGE_PATH_MAX], char *err, size_t err_size)
{
    char self[IMAGE_PATH_MAX - 16], images[IMAGE_PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0) {
        snprintf(err, err_size, "/proc/self/exe: %s", strerror(errno));
        return -1;
    }
    self[length] = '\0';
    char *folder = dirname(self);
    for (int up = 0; up < 2; up++, folder = dirname(folder)) {
        snprintf(images, sizeof images, "%s/images", folder);
        if (access(images, R_OK | X_OK) == 0) {
            snprintf(build, IMAGE_PATH_MAX, "%s", folder);
            return 0;
        }
    }
    snprintf(err, err_size, "no folder `images` beside the program: `make images` builds them");
    return -1;
}

static int add_image(struct image_list *list, const char *build, const char *suite, const char *file)
{
    size_t stem = strlen(file) - strlen(".elf");
    struct image *more = reallocarray(list->image, list->count + 1, sizeof *more);
    if (!more)
        return -1;
    list->image = more;
    struct image *image = &more[list->count++];
    int used = snprintf(image->path, sizeof image->path, "%s/images/%s/%s", build, suite, file);
    int native = snprintf(image->native, sizeof image->native, "%s/native/%s/%.*s", build, suite, (int)stem, file);
    snprintf(image->suite, sizeof image->suite, "%.*s", IMAGE_NAME_MAX - 1, suite);
    snprintf(image->name, sizeof image->name, "%.*s", (int)stem, file);
    if (used >= IMAGE_PATH_MAX || native >= IMAGE_PATH_MAX || stem >= IMAGE_NAME_MAX)
        list->count--; // not one of ours
    else if (access(image->native, X_OK))
        image->native[0] = '\0';
    return 0;
}

static int scan_suite(struct image_list *list, const char *build, const char *suite)
{
    char path[IMAGE_PATH_MAX];
    int result = 0;
    if (suite[0] == '.' || strlen(suite) >= IMAGE_NAME_MAX ||
        snprintf(path, sizeof path, "%s/images/%s", build, suite) >= IMAGE_PATH_MAX)
        return 0;
    DIR *folder = opendir(path);
    if (!folder)
        return 0; // a file, not a suite
    for (struct dirent *entry; result == 0 && (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && !strcmp(entry->d_name + length - 4, ".elf"))
            result = add_image(list, build, suite, entry->d_name);
    }
    closedir(folder);
    return result;
}

static int by_name(const void *a, const void *b)
{
    const struct image *x = a, *y = b;
    int suites = strcmp(x->suite, y->suite);
    return suites ? suites : strcmp(x->name, y->name);
}

int images_find(struct image_list *list, char *err, size_t err_size)
{
    char build[IMAGE_PATH_MAX], images[IMAGE_PATH_MAX + 8], above[IMAGE_PATH_MAX];
    *list = (struct image_list){0};
    if (find_build(build, err, err_size))
        return -1;
    snprintf(images, sizeof images, "%s/images", build);
    snprintf(above, sizeof above, "%s", build);
    snprintf(list->root, sizeof list->root, "%s", dirname(above));
    DIR *folder = opendir(images);
    if (!folder) {
        snprintf(err, err_size, "%.200s: %s", images, strerror(errno));
        return -1;
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(folder));)
        result = scan_suite(list, build, entry->d_name);
    closedir(folder);
    if (result)
        snprintf(err, err_size, "no memory for the list of images");
    else if (list->count)
        qsort(list->image, list->count, sizeof *list->image, by_name);
    return result;
}

void images_free(struct image_list *list)
{
    free(list->image);
    *list = (struct image_list){0};
}

const struct image *images_named(const struct image_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct image *image = &list->image[i];
        size_t suite = strlen(image->suite);
        bool full = !strncmp(name, image->suite, suite) && name[suite] == '/' && !strcmp(name + suite + 1, image->name);
        if (full || !strcmp(name, image->name))
            return image;
    }
    return NULL;
}

bool images_known(const struct image_list *list, const char *name, char *err, size_t err_size)
{
    char hint[96];
    struct suggestion s = suggest_for(name);
    if (images_named(list, name))
        return true;
    for (size_t i = 0; i < list->count; i++) {
        if (!strcmp(list->image[i].suite, name))
            return true;
        suggest_offer(&s, list->image[i].name);
        suggest_offer(&s, list->image[i].suite);
    }
    snprintf(err, err_size, "no image '%.100s'%s", name, suggest_text(&s, hint, sizeof hint));
    return false;
}

const char *images_path(const struct image_list *list, const char *name, char *err, size_t err_size)
{
    const struct image *image = images_named(list, name);
    if (image)
        return image->path;
    if (strchr(name, '/') || access(name, F_OK) == 0)
        return name;
    char hint[96];
    struct suggestion s = suggest_for(name);
    for (size_t i = 0; i < list->count; i++)
        suggest_offer(&s, list->image[i].name);
    snprintf(err, err_size, "no image '%.100s', by name or as a file%s", name, suggest_text(&s, hint, sizeof hint));
    return NULL;
}

// The comment that a source opens with, after its SPDX line, as one line.
static void opening_comment(FILE *source, char *text, size_t size)
{
    char line[256];
    size_t used = 0;
    text[0] = '\0';
    while (fgets(line, sizeof line, source) && !strncmp(line, "// ", 3)) {
        line[strcspn(line, "\n")] = '\0';
        if (strstr(line, "SPDX") || strstr(line, "native: yes") || strstr(line, "bantam: program"))
            continue;
        int more = snprintf(text + used, size - used, "%s%s", used ? " " : "", line + 3);
        if (more < 0 || (size_t)more >= size - used)
            return;
        used += (size_t)more;
    }
}

// Cuts text after its first sentence, and a long one at its colon; references to the manual are not for a list.
static void first_sentence(char *text)
{
    char *end = text;
    while ((end = strstr(end, ". ")) && !(end[2] >= 'A' && end[2] <= 'Z'))
        end++;
    if (end)
        *end = '\0';
    if ((end = strstr(text, " (SDM")))
        *end = '\0';
    if (strlen(text) > LIST_WIDTH && (end = strstr(text, ": ")))
        *end = '\0';
    size_t length = strlen(text);
    if (length && text[length - 1] == '.')
        text[length - 1] = '\0';
}

// Suites whose sources are elsewhere than in bench/SUITE. "user" holds the kernels of bench/micro as user programs.
static const struct {
    const char *suite, *folder;
    bool test;
} special_suites[] = {{"test", "tests/guest", true}, {"bantam", "tests/bantam", true}, {"user", "bench/micro", false}};

bool image_is_test(const struct image *image)
{
    for (size_t i = 0; i < sizeof special_suites / sizeof *special_suites; i++)
        if (!strcmp(image->suite, special_suites[i].suite))
            return special_suites[i].test;
    return false;
}

static const char *source_folder(const struct image *image, char *buffer, size_t size)
{
    for (size_t i = 0; i < sizeof special_suites / sizeof *special_suites; i++)
        if (!strcmp(image->suite, special_suites[i].suite))
            return special_suites[i].folder;
    snprintf(buffer, size, "bench/%s", image->suite);
    return buffer;
}

void images_describe(const struct image_list *list, const struct image *image, char *line, size_t size)
{
    char path[2 * IMAGE_PATH_MAX], folder[IMAGE_NAME_MAX + 8];
    line[0] = '\0';
    snprintf(path, sizeof path, "%s/%s/%s.c", list->root, source_folder(image, folder, sizeof folder), image->name);
    FILE *source = fopen(path, "re");
    if (!source)
        return;
    opening_comment(source, line, size);
    fclose(source);
    first_sentence(line);
}

static int read_all(int fd, uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, bytes + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO; // became shorter while we read it
        if (got <= 0)
            return -1;
        done += (size_t)got;
    }
    return 0;
}

static const char *unusable(const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return "is a folder, not an image";
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if (st->st_size == 0)
        return "is empty";
    return st->st_size > (off_t)FILE_MAX_MIB << 20 ? "is larger than 1 GiB" : NULL;
}

int file_read(const char *path, uint8_t **bytes, size_t *size, char *err, size_t err_size)
{
    struct stat st;
    const char *problem = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not keep us waiting
    *bytes = NULL;
    if (fd < 0 || fstat(fd, &st))
        problem = strerror(errno);
    else if (!(problem = unusable(&st))) {
        *size = (size_t)st.st_size;
        *bytes = malloc(*size);
        if (!*bytes || read_all(fd, *bytes, *size))
            problem = strerror(errno);
    }
    if (fd >= 0)
        close(fd);
    if (!problem)
        return 0;
    free(*bytes);
    *bytes = NULL;
    snprintf(err, err_size, "%.200s: %s", path, problem);
    return -1;
}

void sha256_hex(const uint8_t *bytes, size_t size, char hex[static SHA256_HEX_SIZE])
{
    struct sha256_ctx ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&ctx);
    sha256_update(&ctx, size, bytes);
    sha256_digest(&ctx, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}
