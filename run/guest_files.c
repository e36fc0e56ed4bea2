// SPDX-License-Identifier: BSD-2-Clause
#include "run/guest_files.h"

#include <stdlib.h>

#include "run/images.h"

int guest_files_read(struct guest_files *files, const char *image, const char *initrd, char *err, size_t err_size)
{
    *files = (struct guest_files){0};
    if (file_read(image, &files->image, &files->image_size, err, err_size))
        return -1;
    if (!initrd || !file_read(initrd, &files->initrd, &files->initrd_size, err, err_size))
        return 0;
    guest_files_free(files);
    return -1;
}

void guest_files_free(struct guest_files *files)
{
    free(files->image);
    free(files->initrd);
    *files = (struct guest_files){0};
}
