import tables
def measure(g,tools,csv_dir):
    tables.say("vm")
