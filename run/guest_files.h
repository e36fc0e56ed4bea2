// SPDX-License-Identifier: BSD-2-Clause
// What a guest is made of, as bytes.
#ifndef RINGSIDE_RUN_GUEST_FILES_H
#define RINGSIDE_RUN_GUEST_FILES_H

#include <stddef.h>
#include <stdint.h>

struct guest_files {
    uint8_t *image;
    size_t image_size;
    uint8_t *initrd; // NULL: none
    size_t initrd_size;
};

// Reads both; initrd NULL: none. 0, or -1 with one line in err. To be freed where it is 0.
int guest_files_read(struct guest_files *files, const char *image, const char *initrd, char *err, size_t err_size);
void guest_files_free(struct guest_files *files);

#endif
