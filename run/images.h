// SPDX-License-Identifier: BSD-2-Clause
// The images that `make` has built, found relative to the program; and reading an image file, whatever it is.
#ifndef RINGSIDE_RUN_IMAGES_H
#define RINGSIDE_RUN_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMAGE_NAME_MAX = 64, IMAGE_PATH_MAX = 4096, SHA256_HEX_SIZE = 65 };

struct image {
    char suite[IMAGE_NAME_MAX], name[IMAGE_NAME_MAX];
    char path[IMAGE_PATH_MAX];
    char native[IMAGE_PATH_MAX]; // the native program, "" where there is none
};

struct image_list {
    struct image *image; // sorted by suite, then name
    size_t count;
    char root[IMAGE_PATH_MAX]; // the source tree: where build/ lies
};

// 0, or -1 with one line in err: no folder of images, or unreadable.
int images_find(struct image_list *list, char *err, size_t err_size);
void images_free(struct image_list *list);

// An image by NAME or SUITE/NAME, or NULL.
const struct image *images_named(const struct image_list *list, const char *name);

// A self-check, not a benchmark: of the machine (suite test) or of the guest Unix (suite bantam).
bool image_is_test(const struct image *image);

// The first sentence of the comment that the image's source opens with; "" where there is none.
void images_describe(const struct image_list *list, const struct image *image, char *line, size_t size);

// The path of an image given by name or path, or NULL with one line in err.
const char *images_path(const struct image_list *list, const char *name, char *err, size_t err_size);

// Suggests a name for one that is no image; true where `name` is a suite or an image.
bool images_known(const struct image_list *list, const char *name, char *err, size_t err_size);

// The whole of a regular, non-empty file, to be freed by the caller. 0, or -1 with one line in err.
int file_read(const char *path, uint8_t **bytes, size_t *size, char *err, size_t err_size);

void sha256_hex(const uint8_t *bytes, size_t size, char hex[static SHA256_HEX_SIZE]);

#endif
