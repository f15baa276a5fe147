/* SPDX-License-Identifier: Apache-2.0 */
/* The table out of tcmu-runner's own headers. */
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

#include "libtcmu.h"
#include "tcmu-runner.h"

#define SIZE(type) printf("sizeof " #type " %zu\n", sizeof(struct type));
#define FIELD(type, field)                                                      \
  printf("offset " #type "." #field " %zu size %zu\n", offsetof(struct type, field), \
         sizeof(((struct type*)0)->field));
#define VALUE(name) printf("value " #name " %lld\n", (long long)(name));

int main(void) {
#include "tests/abi/table.inc"
  return 0;
}
