/* SPDX-License-Identifier: Apache-2.0 */
/* The ring's table out of the kernel's header. */
#include <linux/target_core_user.h>
#include <stddef.h>
#include <stdio.h>

#define SIZE(type) printf("sizeof " #type " %zu\n", sizeof(struct type));
#define FIELD(type, field)                                                      \
  printf("offset " #type "." #field " %zu size %zu\n", offsetof(struct type, field), \
         sizeof(((struct type*)0)->field));
#define VALUE(name) printf("value " #name " %lld\n", (long long)(name));
#define ENTRY_SIZE() printf("sizeof tcmu_cmd_entry %zu\n", sizeof(struct tcmu_cmd_entry));
#define REQ(field)                                                                   \
  printf("offset req." #field " %zu size %zu\n", offsetof(struct tcmu_cmd_entry, req.field), \
         sizeof(((struct tcmu_cmd_entry*)0)->req.field));
#define REQ_IOV() printf("offset req.iov %zu\n", offsetof(struct tcmu_cmd_entry, req.iov));
#define RSP(field)                                                                   \
  printf("offset rsp." #field " %zu size %zu\n", offsetof(struct tcmu_cmd_entry, rsp.field), \
         sizeof(((struct tcmu_cmd_entry*)0)->rsp.field));

int main(void) {
#include "tests/abi/ring_table.inc"
  return 0;
}
