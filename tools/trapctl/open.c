// SPDX-License-Identifier: BSD-2-Clause
#include "open.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

/* A path that does not fit into an address is reached through its folder, which is left open in *folder. */
static int address_of(const char *path, struct sockaddr_un *a, int *folder)
{
    const char *slash = strrchr(path, '/');
    char dir[4096];
    int n;

    *folder = -1;
    a->sun_family = AF_UNIX;
    if (strlen(path) < sizeof(a->sun_path)) {
        strcpy(a->sun_path, path);
        return 0;
    }
    if (!slash || (size_t)(slash - path) >= sizeof(dir))
        return -ENAMETOOLONG;
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = '\0';
    *folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0)
        return -errno;
    n = snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%s", *folder, slash + 1);
    return (size_t)n < sizeof(a->sun_path) ? 0 : -ENAMETOOLONG;
}

int open_socket(const char *path, int *fd)
{
    struct sockaddr_un a;
    int folder, error = address_of(path, &a, &folder);

    *fd = -1;
    if (!error) {
        *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (*fd < 0 || (connect(*fd, (struct sockaddr *)&a, sizeof(a)) && errno != EINPROGRESS))
            error = -errno;
    }
    if (error && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    if (folder >= 0)
        close(folder);
    return error;
}

static speed_t speed_code(unsigned speed)
{
    static const struct {
        unsigned speed;
        speed_t code;
    } known[] = {{9600, B9600},       {19200, B19200},     {38400, B38400},     {57600, B57600},
                 {115200, B115200},   {230400, B230400},   {460800, B460800},   {500000, B500000},
                 {921600, B921600},   {1000000, B1000000}, {1500000, B1500000}, {2000000, B2000000},
                 {3000000, B3000000}, {4000000, B4000000}};

    for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (known[i].speed == speed)
            return known[i].code;
    return B0;
}

static int make_raw(int fd, speed_t speed)
{
    struct termios t;

    if (tcgetattr(fd, &t))
        return -errno;
    cfmakeraw(&t);
    t.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
    t.c_cflag |= CLOCAL | CREAD;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (cfsetspeed(&t, speed) || tcsetattr(fd, TCSANOW, &t))
        return -errno;
    return 0;
}

int open_serial(const char *path, unsigned speed, int *fd)
{
    speed_t code = speed_code(speed);
    int error = 0;

    *fd = -1;
    if (code == B0)
        return -EINVAL;
    *fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return -errno;
    /* Between programs like this one a lock tells; TIOCEXCL keeps the rest out (but not root). */
    if (flock(*fd, LOCK_EX | LOCK_NB))
        error = errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (!error)
        error = make_raw(*fd, code);
    if (!error)
        ioctl(*fd, TIOCEXCL);
    if (error) {
        close(*fd);
        *fd = -1;
    }
    return error;
}
