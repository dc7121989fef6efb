# Entry of the small guest: PVH boot in 32-bit protected mode without paging. Sets up a stack, flat
# segments, the interrupt controllers (only the timer passes) and a 200 Hz timer, then calls C.
.section .note.pvh, "a", @note
.long 4, 4, 18                  # name size, value size, XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.long _start

.text
.code32
.globl _start
_start:
    cld
    mov $stack_top, %esp
    push %ebx                   # start_info, the argument of kernel_main
    lgdt gdt_pointer
    ljmp $8, $1f
1:  mov $16, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss

    # Interrupt controllers: vectors from 0x20 on, everything masked but the timer.
    mov $0x11, %al
    out %al, $0x20
    out %al, $0xa0
    mov $0x20, %al
    out %al, $0x21
    mov $0x28, %al
    out %al, $0xa1
    mov $4, %al
    out %al, $0x21
    mov $2, %al
    out %al, $0xa1
    mov $1, %al
    out %al, $0x21
    out %al, $0xa1
    mov $0xfe, %al
    out %al, $0x21
    mov $0xff, %al
    out %al, $0xa1

    # Timer channel 0: 1193182 Hz / 5966 = 200 Hz.
    mov $0x34, %al
    out %al, $0x43
    mov $0x4e, %al
    out %al, $0x40
    mov $0x17, %al
    out %al, $0x40

    # Every vector goes to the same handler, which only acknowledges: waking up is all it is for.
    mov $idt, %edi
    mov $256, %ecx
2:  mov $handler, %eax
    mov %ax, (%edi)
    movw $8, 2(%edi)
    movw $0x8e00, 4(%edi)
    shr $16, %eax
    mov %ax, 6(%edi)
    add $8, %edi
    loop 2b
    lidt idt_pointer

    call kernel_main
3:  hlt
    jmp 3b

handler:
    push %eax
    mov $0x20, %al
    out %al, $0x20
    pop %eax
    iret

.data
.align 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word 23
    .long gdt
idt_pointer:
    .word 2047
    .long idt

.bss
.align 16
idt:
    .skip 2048
stack:
    .skip 32768
stack_top:

.section .note.GNU-stack, "", @progbits
